/* Calling it would be a crash. */
extern const int sluice_sink_plugin_v1;
__attribute__((visibility("default"))) const int sluice_sink_plugin_v1 = 1;
