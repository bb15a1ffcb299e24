#define ABI 2u
#include "base.h"
