#define PLUGIN_NAME SLUICE_STRING("somebody_else")
#include "base.h"
