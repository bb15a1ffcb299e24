#pragma once
// Where a pipeline stands, and moving it by hand: `sluice offsets`.

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/operations/context.hpp"
#include "daemon/operations/notation.hpp"

namespace sluice::operations {

/// {"pipeline":"orders","cluster_id":"…"|null,"run_state":"running","next_batch":813,
///  "unfinished":812|null,"initial":{"orders":{"0":0}}|null,
///  "partitions":[{"topic","partition","offset","leader_epoch":4|null,"topic_id":"…"|null,
///                 "last_batch":811|null}],
///  "audit":[{"at":TIME,"action":"offsets set","detail":"…"}]}   newest last, at most audit_listed
Result<boost::json::object> show_offsets(const Context& context, const std::string& pipeline);
inline constexpr std::size_t audit_listed = 50;

/// A wish to move positions. As JSON:
///   {"action":"set","offsets":{"orders":{"0":8123}}}
///   {"action":"reset","to":"earliest|latest|starting-offsets|2026-11-01T08:00:00Z"}
///   {"action":"reset","shift_by":-1000}
///   {"action":"skip","topic":"orders","partition":0,"offset":8123}
/// and for all: "execute":true (without it nothing is changed); for reset: "only":["orders","pay/0"].
struct MoveRequest {
    enum class Action { set, reset, skip };
    enum class Target { starting_offsets, earliest, latest, time, shift };

    Action action = Action::reset;
    std::map<plan::TopicPartition, std::int64_t> offsets;  ///< set
    Target target = Target::starting_offsets;              ///< reset
    WallTime time{};
    std::int64_t shift = 0;
    std::vector<Scope> only;                               ///< reset: empty = every partition
    RecordName record;                                     ///< skip
    bool execute = false;
};
/// Errors: `invalid_argument`, naming the key and what is accepted; unknown keys too.
Result<MoveRequest> parse_move(const boost::json::object& body);

/// Moves positions, or only says what would move. Asks the cluster for the offsets there are.
///
/// set    each offset must lie between what its partition holds (its end included).
/// reset  every partition of the subscription: to its earliest, its latest, the first record at a time
///        (its end where there is none), `startingOffsets` as configured now, or shifted (cut to what
///        the partition holds).
/// skip   steps over exactly one record. Where the position is that record's offset, it moves by one.
///        Where the unfinished plan holds it further on, what lies before it is not delivered yet: the
///        plan is abandoned and planned anew up to the record, so that a second skip finds it at the
///        position ("step":"deliver_before"). Anything else is refused with where things stand.
///
/// A plan without an outcome that reads a moved partition is abandoned in the same write.
/// {"pipeline","action","executed":bool,"step":"move|deliver_before",
///  "changes":[{"topic","partition","before":8000|null,"after":8124}],   those that differ
///  "unchanged":3,"abandons":812|null,"replans":{"batch":813,"ranges":[RANGE…]}|null,"notes":["…"]}
///
/// Errors: `not_found`, `invalid_argument` (words, or offsets that aren't there), `unavailable`
/// (cluster), `storage`; `invalid_argument` too for a pipeline that was never started: startingOffsets
/// still decides.
Result<boost::json::object> move_offsets(const Context& context, const std::string& pipeline,
                                         const MoveRequest& request);

}  // namespace sluice::operations
