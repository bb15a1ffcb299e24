#define PLUGIN_NAME {0, 5}
#include "base.h"
