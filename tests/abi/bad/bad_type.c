#define OPTION_TYPE 8
#include "base.h"
