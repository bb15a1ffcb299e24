#define OWN_SYMBOL
#include "base.h"
const sluice_sink_plugin* nobody_has_this(const sluice_sink_plugin* table);
const sluice_sink_plugin* sluice_sink_plugin_v1(void) { return nobody_has_this(&plugin); }
