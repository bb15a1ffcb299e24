#define OPTION_SIZE (sizeof(sluice_option) - sizeof(int64_t))
#include "base.h"
