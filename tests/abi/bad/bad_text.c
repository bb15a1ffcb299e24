#define PLUGIN_NAME SLUICE_STRING("\xff")
#include "base.h"
