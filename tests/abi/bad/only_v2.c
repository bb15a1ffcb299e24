#define OWN_SYMBOL
#include "base.h"
SLUICE_EXPORT const void* sluice_sink_plugin_v2(void);
const void* sluice_sink_plugin_v2(void) { return &plugin; }
