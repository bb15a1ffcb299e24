#define API 0
#include "base.h"
