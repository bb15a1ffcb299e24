#define GUARANTEE 3
#include "base.h"
