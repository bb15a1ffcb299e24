#pragma once

#include <memory>

#include "daemon/config/config.hpp"
#include "daemon/kafka/consumer_pool.hpp"
#include "daemon/kafka/lookup_clients.hpp"
#include "daemon/pipeline/source.hpp"

namespace sluice::pipeline {

/// The real thing. `pool` and `lookups` outlive it. It asks for a client at the first call, so that a wrong
/// or missing broker is an error of the pipeline, not of the daemon's start. After each refusal (`denied`)
/// the references of `kafka.*` are read again and the next call uses new clients: a rotated password or
/// certificate needs no restart.
std::unique_ptr<Source> make_kafka_source(const config::Pipeline& pipeline,
                                          kafka::ConsumerPool& pool, kafka::LookupClients& lookups);

}  // namespace sluice::pipeline
