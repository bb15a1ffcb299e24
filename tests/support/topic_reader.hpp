#pragma once
// What is in Kafka's topics, message by message.

#include <functional>
#include <string>
#include <vector>

struct rd_kafka_message_s;

namespace sluice::test {

/// Calls `take` with each message from the beginning to the end of each partition of `topics`, in order within a
/// partition. `begin` comes first, and once more when a client is stuck (it heard nothing for 15 s, which was seen once in
/// hundreds of runs) and another one reads everything anew: three at most, then it throws.
void read_topics(const std::string& bootstrap, const std::vector<std::string>& topics, const std::string& isolation,
                 const std::function<void()>& begin, const std::function<void(const rd_kafka_message_s&)>& take);

}  // namespace sluice::test
