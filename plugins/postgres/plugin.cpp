// The plugin's one exported symbol.
#include "plugins/postgres/postgres_sink.hpp"

SLUICE_SINK_PLUGIN(sluice::plugins::postgres::PostgresSink, sluice::plugins::postgres::description);
