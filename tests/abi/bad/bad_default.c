#define OPTION_DEFAULT "blue"
#include "base.h"
