// The plugin's one exported symbol.
#include "plugins/file/file_sink.hpp"

SLUICE_SINK_PLUGIN(sluice::plugins::file::FileSink, sluice::plugins::file::description);
