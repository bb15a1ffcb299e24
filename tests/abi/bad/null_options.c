#define OPTIONS 0
#include "base.h"
