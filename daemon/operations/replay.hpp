#pragma once
// Recorded batches delivered once more, into another sink: `sluice batches replay`.

#include <boost/json/object.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/kafka/rereader.hpp"
#include "daemon/operations/history.hpp"
#include "daemon/pipeline/batch_run.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::operations {

/// What to deliver again, and into what.
struct Replay {
    std::string name;                ///< "orders.replay-812-815": whose output it is, a pipeline's in its place
    config::Pipeline pipeline;       ///< how to read; its sink is not used
    config::Sink sink;
    std::shared_ptr<const sink::Plugin> plugin;
    std::filesystem::path state_dir;  ///< what it has done so far; made at its first execution
    bool skip_lost = false;
    int workers = 1;
    std::vector<checkpoints::BatchSummary> batches;  ///< from choose_batches
};

/// The batches of a replay: what was delivered (committed, recovered), oldest first; abandoned ones
/// delivered nothing and are left out, named in `notes`. Pure. Errors: `invalid_argument` for one that
/// has no outcome yet, `not_found` when nothing is left.
Result<std::vector<checkpoints::BatchSummary>> choose_batches(const History& history,
                                                              std::vector<std::string>& notes);

/// Where each range of a batch, planned as recorded, can be read from, when not from its beginning: its first
/// retained offset, `until` when nothing of it is, or when its log was cut below its end since (`cut_since`):
/// what is there now may be something else. Pure.
pipeline::Adjustments missing_from(const checkpoints::Plan& plan, const kafka::TopicsNow& now,
                                   const std::vector<checkpoints::LossEntry>& losses);

/// How a second delivery's books differ from the recorded ones, range by range, for a person. Pure.
std::vector<std::string> compare_books(const checkpoints::BatchSummary& recorded,
                                       const std::vector<checkpoints::RangeBooks>& replayed);

/// Says what would be done, or does it. Every batch is a batch of its own under `replay.name`, numbered
/// from 0, planned and committed in `state_dir` as a pipeline does it in its data directory: an
/// interrupted replay goes on after its last batch when it is asked for again with the same batches and
/// sink, and a batch that the sink has already is counted, not written again. Live positions and
/// checkpoints are not looked at. `progress` hears of records delivered.
///
/// {"pipeline","replay","into":{"plugin","target"},"state","executed":bool,"not_retained":OFFSETS,
///  "batches":[{"batch":812,"as":"orders.replay-812-815/0","state":"to do|done before|replayed",
///    "ranges","offsets","not_retained":OFFSETS,"recorded":BOOKS|null,"replayed":BOOKS|null,
///    "differences":[TEXT…]}],"notes":[TEXT…]}
///
/// Errors: `data_loss` when executed and a range is not retained any more as it was, before anything is written
/// (unless `skip_lost`); `configuration` for another cluster, and for a state that belongs to other
/// batches or another target; `locked` while the same replay runs; those of the sink and of Kafka.
Result<boost::json::object> replay_batches(const Replay& replay, const History& history,
                                           const kafka::TopicsNow& now, bool execute,
                                           std::vector<std::string> notes,
                                           const std::function<void(std::uint64_t)>& progress,
                                           const Clock& clock);

}  // namespace sluice::operations
