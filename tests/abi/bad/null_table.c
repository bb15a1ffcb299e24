#define OWN_SYMBOL
#include "base.h"
const sluice_sink_plugin* sluice_sink_plugin_v1(void) { return (void)plugin, (const sluice_sink_plugin*)0; }
