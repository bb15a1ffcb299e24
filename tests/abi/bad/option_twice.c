#define OPTION_NAME "shade"
#include "base.h"
