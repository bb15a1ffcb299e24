#pragma once
// Was a log cut below a position and written anew? The brokers know, by leader epoch.

#include <cstdint>
#include <map>
#include <stop_token>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/plan/types.hpp"

namespace sluice::kafka {

/// Of `positions`, those whose log was truncated since the record before them was read (an unclean
/// leader election), each with the first offset that holds something else now. Positions without a
/// leader epoch can't be asked for, and are left out like those whose log is the same.
///
/// librdkafka asks OffsetForLeaderEpoch for itself alone, and goes on from the answer when it is let:
/// so a consumer of its own is sent to the positions, and where it ends up is the answer. What shows no
/// record (control records, compaction) is passed over: the offset may be that much above the cut.
///
/// Every partition must exist. Blocks until each has answered; costs a client, some 50 ms.
/// Errors: `unavailable` (retriable) when one does not within `timeout`; `denied`; `stopping`.
Result<std::map<plan::TopicPartition, std::int64_t>> find_truncations(
    const ClientSettings& settings, const std::map<plan::TopicPartition, plan::Position>& positions,
    Milliseconds timeout, const std::stop_token& stop);

}  // namespace sluice::kafka
