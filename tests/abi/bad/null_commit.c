#define COMMIT 0
#include "base.h"
