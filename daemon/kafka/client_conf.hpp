#pragma once
// How every client of librdkafka is configured: sluice's own properties are set here and nowhere
// else. Included by daemon/kafka/*.cpp only.

#include <cstdint>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {

enum class Role {
    lookup,    ///< asks for metadata, offsets and ids; never fetches a record; has no group.id
    consumer,  ///< is assigned ranges and fetches records
    producer,  ///< writes dead letters; properties that only consumers know are left out
};

/// How much one consumer may hold: its part of memoryMax. librdkafka counts neither the ~330 bytes
/// that each queued record costs on top of its payload nor decompression, so both bounds are
/// needed.
struct ConsumerLimits {
    std::int32_t queued_kbytes = 8192;      ///< payload queued, KiB; 1 … 2097151
    std::int32_t queued_messages = 10'000;  ///< below this many a partition is fetched again
    std::int32_t fetch_bytes = 1 << 20;     ///< asked for per partition and fetch, compressed
    std::uint64_t spent_bytes = 0;          ///< of records done with, to be freed later: Consumer::take_back

    bool operator==(const ConsumerLimits&) const = default;
};

/// The configuration of one client: sluice's defaults, then the user's properties, then what the
/// contract needs whatever the user wrote (no commits, no reset, the isolation level, EOF events,
/// short long-polls, the limits). The user may lower queued.*, fetch.* and fetch.wait.max.ms; what
/// is higher than the limit is brought down to it.
///
/// Log lines of the client go to sluice::log with the client's name; no property is ever logged.
/// Errors: `configuration`, naming the property; the value of a secret is left out.
Result<Conf> make_conf(const ClientSettings& settings, Role role,
                       const ConsumerLimits& limits = {});

/// rd_kafka_new, as a consumer for the first two roles; OAuth tokens are refreshed in the
/// background, since nobody polls a client that waits for its next trigger. Costs 4 threads, no
/// waiting. Errors: `configuration`, with librdkafka's own words (a certificate that can't be read,
/// …).
Result<Client> make_client(Conf conf, rd_kafka_type_t type = RD_KAFKA_CONSUMER);

/// True for properties whose value is a password, a key or a token.
bool is_secret_property(std::string_view name) noexcept;

}  // namespace sluice::kafka
