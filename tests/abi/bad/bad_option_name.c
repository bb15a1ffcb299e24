#define OPTION_NAME "two-words"
#include "base.h"
