#pragma once
// Sockets for librdkafka's connections, none of them sooner than some time after the last.
// Included by daemon/kafka/*.cpp and plugins/kafka/*.cpp.

#include <sys/socket.h>

#include <chrono>
#include <thread>

namespace sluice {

constexpr std::chrono::milliseconds connect_pause{20};

/// [librdkafka's threads, each of which serves one broker] For rd_kafka_conf_set_socket_cb.
///
/// A broker that an admin request waits for (ListOffsets, DescribeTopics) is connected to again as soon as that
/// fails, whatever reconnect.backoff.ms says: each look-up beside a broker that was down took a core, for as long as
/// it waited. Not in the connect callback, which is called under a lock that others need.
inline int paced_socket(int domain, int type, int protocol, void* /*opaque*/) {
    thread_local std::chrono::steady_clock::time_point next;
    std::this_thread::sleep_until(next);
    next = std::chrono::steady_clock::now() + connect_pause;
    return socket(domain, type | SOCK_CLOEXEC, protocol);
}

}  // namespace sluice
