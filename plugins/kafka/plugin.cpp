// The plugin's one exported symbol.
#include "plugins/kafka/kafka_sink.hpp"

SLUICE_SINK_PLUGIN(sluice::plugins::kafka::KafkaSink, sluice::plugins::kafka::description);
