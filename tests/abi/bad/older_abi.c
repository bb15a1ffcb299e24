#define ABI 0u
#include "base.h"
