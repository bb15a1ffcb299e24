#include "daemon/operations/replay.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/value_from.hpp>
#include <exception>
#include <thread>

#include "daemon/base/failpoint.hpp"
#include "daemon/base/text.hpp"
#include "daemon/operations/json.hpp"
#include "daemon/operations/judge.hpp"
#include "daemon/pipeline/kafka_source.hpp"
#include "daemon/pipeline/refusals.hpp"

namespace sluice::operations {
namespace {

namespace asio = boost::asio;
using checkpoints::BatchState;
using checkpoints::BatchSummary;

/// A broker or sink that is briefly away; what takes longer is for a person, who runs it again.
constexpr int attempts_max = 5;

std::uint64_t missing_of(const checkpoints::Plan& plan, const pipeline::Adjustments& missing) {
    std::uint64_t offsets = 0;
    for (const auto& [index, start] : missing) {
        offsets += static_cast<std::uint64_t>(start - plan.ranges[index].range.from);
    }
    return offsets;
}

/// Ranges as recorded; lanes are those of another process.
std::vector<plan::PlannedRange> without_lanes(std::vector<plan::PlannedRange> ranges) {
    for (auto& range : ranges) range.lane.reset();
    return ranges;
}

Error other_state(const Replay& replay, std::string_view why) {
    std::string message = replay.state_dir.string();
    message.append(" belongs to a replay '").append(replay.name).append("' ").append(why);
    message += ": continue that one as it was begun, or give this one a name of its own (--replay-id)";
    return Error{ErrorCode::configuration, std::move(message)};
}

/// One execution: the state directory, the sink, and the batches that are left.
class Execution {
 public:
    Execution(const Replay& replay, const History& history, const kafka::TopicsNow& now, const Clock& clock,
              const std::function<void(std::uint64_t)>& progress)
        : replay_(replay), history_(history), now_(now), clock_(clock), progress_(progress),
          workers_(static_cast<std::size_t>(std::max(1, replay.workers)) + 1) {}
    ~Execution() {
        sink_.reset();
        workers_.join();
    }

    /// The state, as far as there is one; nothing is made.
    Result<void> look() {
        std::error_code ignored;
        if (!std::filesystem::exists(replay_.state_dir, ignored)) return {};
        auto store = checkpoints::open_store_for_reading(replay_.state_dir);
        if (!store && store.error().code == ErrorCode::not_found) return {};
        if (!store) return std::move(store).error();
        store_ = *std::move(store);
        return check_state();
    }

    /// Takes the state directory, and makes it when it is not there.
    Result<void> take() {
        store_.reset();
        char host[256] = "";
        (void)::gethostname(host, sizeof host - 1);
        SLUICE_TRY(auto lock, checkpoints::DirectoryLock::acquire(replay_.state_dir, {::getpid(), host, ""}));
        lock_ = std::move(lock);
        SLUICE_TRY(store_, checkpoints::open_store(replay_.state_dir));
        SLUICE_CHECK(check_state());
        return store_->bind_cluster(replay_.name, now_.cluster_id);
    }

    /// The books of a batch that an earlier run has committed; nullopt when it is to do.
    [[nodiscard]] std::optional<std::vector<checkpoints::RangeBooks>> done(std::size_t index) const {
        if (!store_) return std::nullopt;
        const auto batch = store_->batch(replay_.name, index);
        if (!batch || !batch->commit) return std::nullopt;
        return batch->commit->books;
    }

    Result<void> open_sink() {
        SLUICE_TRY(const auto state, store_->load(replay_.name));
        sink::SinkContext context{replay_.name, now_.cluster_id,
                                  state.unfinished ? state.unfinished->batch_id : state.next_batch_id,
                                  std::nullopt};
        if (state.receipt) context.receipt = state.receipt->bytes;
        auto opened = replay_.plugin->open(context, replay_.sink.settings, stopping_);
        if (opened.reply.status != sink::Status::ok) {
            return Error{opened.reply.status == sink::Status::retry ? ErrorCode::unavailable : ErrorCode::fatal,
                         "sink open: " + opened.reply.message};
        }
        sink_ = std::move(opened.sink);
        if (!state.receipt && !opened.reply.receipt.empty()) {
            return store_->put_initial_receipt(replay_.name, receipt(opened.reply.receipt));
        }
        return {};
    }

    Result<std::vector<checkpoints::RangeBooks>> deliver(std::size_t index) {
        SLUICE_TRY(const auto state, store_->load(replay_.name));
        const bool planned = state.unfinished.has_value();
        const checkpoints::Plan plan{index, planned ? state.unfinished->planned_at : clock_.wall(),
                                     without_lanes(replay_.batches[index].plan.ranges)};
        if (!planned) SLUICE_CHECK(store_->put_plan(replay_.name, plan, {}));
        failpoint("replay.after_plan");
        // As recorded: when it was planned says what its log has lost since.
        const auto missing = missing_from(replay_.batches[index].plan, now_, history_.losses);
        for (int attempt = 1;; ++attempt) {
            auto outcome = run(plan, planned || attempt > 1, missing);
            if (outcome) {
                failpoint("replay.before_commit");
                std::optional<checkpoints::Receipt> said;
                if (outcome->receipt && !outcome->receipt->empty()) said = receipt(*outcome->receipt);
                outcome->commit.attempts = static_cast<std::uint32_t>(attempt);
                // No positions: a replay has none, and may deliver the same offsets in two batches.
                SLUICE_CHECK(store_->put_commit(replay_.name, outcome->commit, {}, said, {}));
                failpoint("replay.after_commit");
                return std::move(outcome->commit.books);
            }
            const Error& error = outcome.error();
            if (!error.retriable || attempt >= attempts_max) {
                return with_context("batch " + std::to_string(replay_.batches[index].plan.batch_id) +
                                        " (the same command goes on from here)",
                                    std::move(outcome).error());
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{200} * (1 << attempt));
        }
    }

 private:
    checkpoints::Receipt receipt(std::string bytes) const {
        return {replay_.sink.plugin, replay_.sink.target, std::move(bytes)};
    }

    /// What is recorded must be the beginning of what is asked for.
    Result<void> check_state() const {
        SLUICE_TRY(const auto state, store_->load(replay_.name));
        if (state.receipt && (state.receipt->plugin != replay_.sink.plugin ||
                              state.receipt->target != replay_.sink.target)) {
            return other_state(replay_, "into another target");
        }
        if (state.next_batch_id > replay_.batches.size()) return other_state(replay_, "of more batches");
        for (std::uint64_t id = 0; id < state.next_batch_id; ++id) {
            SLUICE_TRY(const auto batch, store_->batch(replay_.name, id));
            if (batch.plan.ranges != without_lanes(replay_.batches[id].plan.ranges)) {
                return other_state(replay_, "of other batches");
            }
        }
        return {};
    }

    Result<pipeline::BatchOutcome> run(const checkpoints::Plan& plan, bool is_rerun,
                                       const pipeline::Adjustments& missing) {
        static const pipeline::LeaderEpochs no_epochs;  // its positions are nobody's to go on from
        // No dead letters: the first record that the sink refuses ends the replay, and names itself.
        pipeline::Refusals refusals;
        const pipeline::RefusalPolicy refusal{
            refusals, nullptr, [&](const std::vector<checkpoints::RefusedRecord>& records) {
                return store_->put_refused(replay_.name, plan.batch_id, records);
            }};
        pipeline::BatchRequest request{replay_.name, replay_.name, plan, is_rerun, missing, no_epochs, refusal, 1};
        if (!replay_.plugin->ordered()) request.lanes = static_cast<std::size_t>(std::max(1, replay_.workers));
        pipeline::BatchProgress now;
        std::optional<Result<pipeline::BatchOutcome>> outcome;
        std::exception_ptr thrown;
        asio::io_context io;
        asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                outcome.emplace(co_await pipeline::run_batch(workers_.get_executor(), *source_, *sink_,
                                                             request, now, clock_, std::stop_token{}));
            },
            [&](std::exception_ptr failure) { thrown = failure; });
        while (!io.stopped()) {
            io.run_for(std::chrono::milliseconds{200});
            progress_(delivered_ + now.polled.load());
        }
        if (thrown) std::rethrow_exception(thrown);
        if (*outcome) delivered_ += now.polled.load();
        return *std::move(outcome);
    }

    static kafka::PoolOptions pool_options(int workers) {
        kafka::PoolOptions options;
        options.capacity = static_cast<std::size_t>(std::max(1, workers));
        options.memory_max = 128ULL << 20;
        return options;
    }

    const Replay& replay_;
    const History& history_;
    const kafka::TopicsNow& now_;
    const Clock& clock_;
    const std::function<void(std::uint64_t)>& progress_;
    std::optional<checkpoints::DirectoryLock> lock_;
    std::unique_ptr<checkpoints::Store> store_;
    kafka::ConsumerPool pool_{pool_options(replay_.workers)};
    kafka::LookupClients lookups_;
    std::unique_ptr<pipeline::Source> source_ =
        pipeline::make_kafka_source(replay_.pipeline, pool_, lookups_);
    std::atomic<bool> stopping_{false};
    std::unique_ptr<sink::Sink> sink_;
    asio::thread_pool workers_;
    std::uint64_t delivered_ = 0;
};

json::object row_of(const Replay& replay, std::size_t index, const History& history,
                    const kafka::TopicsNow& now) {
    const BatchSummary& batch = replay.batches[index];
    json::object row{{"batch", batch.plan.batch_id},
                     {"as", replay.name + "/" + std::to_string(index)},
                     {"state", "to do"},
                     {"ranges", batch.plan.ranges.size()},
                     {"offsets", offsets_of(batch.plan.ranges)},
                     {"not_retained", missing_of(batch.plan, missing_from(batch.plan, now, history.losses))},
                     {"recorded", nullptr},
                     {"replayed", nullptr},
                     {"differences", json::array{}}};
    if (!batch.commit->books.empty()) row["recorded"] = to_json(sum_of(batch.commit->books));
    return row;
}

void add_books(json::object& row, const BatchSummary& recorded, const char* state,
               const std::vector<checkpoints::RangeBooks>& books) {
    row["state"] = state;
    if (!books.empty()) row["replayed"] = to_json(sum_of(books));
    row["differences"] = json::value_from(compare_books(recorded, books));
}

}  // namespace

Result<std::vector<BatchSummary>> choose_batches(const History& history, std::vector<std::string>& notes) {
    std::vector<BatchSummary> chosen;
    for (const BatchSummary& batch : history.batches) {
        const std::string name = history.pipeline + "/" + std::to_string(batch.plan.batch_id);
        if (!batch.commit) {
            return Error{ErrorCode::invalid_argument,
                         "batch " + name + " has no outcome yet: wait until it has committed, or leave it out"};
        }
        if (batch.commit->state == BatchState::abandoned) {
            notes.push_back("batch " + name + " was abandoned and delivered nothing: it is left out");
            continue;
        }
        chosen.push_back(batch);
    }
    if (chosen.empty()) {
        return Error{ErrorCode::not_found, "no batch of pipeline '" + history.pipeline +
                                               "' that is on record is meant by this; `sluice batches list " +
                                               history.pipeline + "` shows them"};
    }
    return chosen;
}

pipeline::Adjustments missing_from(const checkpoints::Plan& plan, const kafka::TopicsNow& now,
                                   const std::vector<checkpoints::LossEntry>& losses) {
    pipeline::Adjustments missing;
    for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
        const plan::PlannedRange& planned = plan.ranges[i];
        const auto there = now.partitions.find(planned.range.topic_partition);
        const bool is_same = there != now.partitions.end() &&
                             (planned.topic_id.empty() || there->second.topic_id.empty() ||
                              planned.topic_id == there->second.topic_id);
        // A log that ends before the range was truncated: what is there now may be something else.
        if (!is_same || there->second.latest < planned.range.until ||
            cut_since(planned, plan.planned_at, losses) != nullptr) {
            missing[i] = planned.range.until;
        } else if (there->second.earliest > planned.range.from) {
            missing[i] = std::min(there->second.earliest, planned.range.until);
        }
    }
    return missing;
}

std::vector<std::string> compare_books(const BatchSummary& recorded,
                                       const std::vector<checkpoints::RangeBooks>& replayed) {
    std::vector<std::string> differences;
    if (recorded.commit->books.empty()) return {"the recorded batch has no books (recovered)"};
    for (std::size_t i = 0; i < recorded.plan.ranges.size(); ++i) {
        const plan::OffsetRange& range = recorded.plan.ranges[i].range;
        std::string what;
        const auto compare = [&](const char* name, std::uint64_t before, std::uint64_t now) {
            if (before == now) return;
            what.append(what.empty() ? "" : ", ").append(name).append(" ");
            what += format_count(static_cast<std::int64_t>(before));
            what += " then, ";
            what += format_count(static_cast<std::int64_t>(now));
            what += " now";
        };
        if (i >= replayed.size() || i >= recorded.commit->books.size()) {
            what = "has no books";
        } else {
            const auto& before = recorded.commit->books[i];
            const auto& now = replayed[i];
            compare("polled", before.polled, now.polled);
            compare("accepted", before.accepted, now.accepted);
            compare("filtered", before.filtered, now.filtered);
            compare("dead-lettered", before.dead_lettered, now.dead_lettered);
            compare("lost", before.lost, now.lost);
            compare("bytes", before.bytes, now.bytes);
        }
        if (what.empty()) continue;
        std::string text = plan::to_string(range.topic_partition);
        text.append(" [").append(std::to_string(range.from)).append(", ");
        text.append(std::to_string(range.until)).append("): ").append(what);
        differences.push_back(std::move(text));
    }
    return differences;
}

Result<json::object> replay_batches(const Replay& replay, const History& history,
                                    const kafka::TopicsNow& now, bool execute, std::vector<std::string> notes,
                                    const std::function<void(std::uint64_t)>& progress, const Clock& clock) {
    if (!history.cluster_id.empty() && history.cluster_id != now.cluster_id) {
        return Error{ErrorCode::configuration, "pipeline '" + history.pipeline + "' was read from cluster " +
                                                   history.cluster_id +
                                                   ", but kafka.bootstrap.servers answers as cluster " +
                                                   now.cluster_id};
    }
    Execution execution(replay, history, now, clock, progress);
    SLUICE_CHECK(execution.look());
    json::array rows;
    std::uint64_t not_retained = 0;
    for (std::size_t i = 0; i < replay.batches.size(); ++i) {
        json::object row = row_of(replay, i, history, now);
        if (const auto books = execution.done(i)) {
            add_books(row, replay.batches[i], "done before", *books);
            row["not_retained"] = 0;  // it is there already
        }
        not_retained += row["not_retained"].to_number<std::uint64_t>();
        rows.push_back(std::move(row));
    }
    if (execute) {
        if (not_retained > 0 && !replay.skip_lost) {
            return Error{ErrorCode::data_loss,
                         format_count(static_cast<std::int64_t>(not_retained)) +
                             " offsets of these batches are no longer retained by Kafka, or were written anew "
                             "after their log was truncated; nothing was written. "
                             "Without --execute you see which; --skip-lost delivers what is left"};
        }
        SLUICE_CHECK(execution.take());
        const bool all_done = std::all_of(rows.begin(), rows.end(), [](const json::value& row) {
            return row.at("state") == "done before";
        });
        if (!all_done) SLUICE_CHECK(execution.open_sink());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            json::object& row = rows[i].as_object();
            if (row.at("state") == "done before") continue;
            SLUICE_TRY(const auto books, execution.deliver(i));
            add_books(row, replay.batches[i], "replayed", books);
        }
    }
    return json::object{{"pipeline", history.pipeline},
                        {"replay", replay.name},
                        {"into", {{"plugin", replay.sink.plugin}, {"target", replay.sink.target}}},
                        {"state", replay.state_dir.string()},
                        {"executed", execute},
                        {"not_retained", not_retained},
                        {"batches", std::move(rows)},
                        {"notes", json::value_from(notes)}};
}

}  // namespace sluice::operations
