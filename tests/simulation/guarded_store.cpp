#include "tests/simulation/guarded_store.hpp"

namespace sluice::simulation {
namespace {

using namespace checkpoints;

Error full_disk() { return {ErrorCode::storage, "no space left on device", true}; }

std::string text(const Plan& plan) {
    std::string out = std::to_string(plan.batch_id) + ":";
    for (const auto& planned : plan.ranges) {
        out += " " + plan::to_string(planned.range.topic_partition) + "(" + planned.topic_id + ")[" +
               std::to_string(planned.range.from) + "," + std::to_string(planned.range.until) + ")";
    }
    return out;
}

std::string text(const Commit& commit) {
    std::string out = std::to_string(commit.batch_id) + " " + std::string(name_of(commit.state)) + ":";
    for (const auto& books : commit.books) {
        out += " " + std::to_string(books.polled) + "+" + std::to_string(books.gaps) + "+" +
               std::to_string(books.lost);
    }
    return out;
}

std::string text(const std::vector<LossEntry>& losses) {
    std::string out;
    for (const auto& entry : losses) {
        const plan::Loss& loss = entry.loss;
        out += " " + plan::to_string(loss.topic_partition) + "(" + loss.topic_id + ")[" +
               std::to_string(loss.from) + "," + std::to_string(loss.until) + ") " +
               std::string(plan::name_of(loss.kind));
    }
    return out;
}

class GuardedStore final : public Store {
 public:
    GuardedStore(World& world, Judge& judge, std::unique_ptr<Store> inner)
        : world_(world), judge_(judge), inner_(std::move(inner)) {}

    Result<PipelineState> load(const std::string& pipeline) const override {
        world_.effect("load");
        if (world_.fault(world_.faults.store_error)) return full_disk();
        return inner_->load(pipeline);
    }
    Result<std::vector<std::string>> pipelines() const override { return inner_->pipelines(); }
    Result<void> bind_cluster(const std::string& pipeline, const std::string& cluster) override {
        return write("bind cluster", [&] { return inner_->bind_cluster(pipeline, cluster); }, [] {});
    }
    Result<void> put_initial(const std::string& pipeline, const std::string& json,
                             const std::map<TopicPartition, plan::Position>& positions) override {
        return write("put initial", [&] { return inner_->put_initial(pipeline, json, positions); },
                     [&] { judge_.initial(positions); });
    }
    Result<void> put_initial_receipt(const std::string& pipeline, const Receipt& receipt) override {
        return write("put initial receipt", [&] { return inner_->put_initial_receipt(pipeline, receipt); },
                     [&] { judge_.initial_receipt(receipt); });
    }
    Result<void> put_plan(const std::string& pipeline, const Plan& plan,
                          const std::vector<LossEntry>& losses) override {
        return write("put plan " + text(plan), [&] { return inner_->put_plan(pipeline, plan, losses); },
                     [&] { judge_.planned(plan); });
    }
    Result<void> put_commit(const std::string& pipeline, const Commit& commit,
                            const std::map<TopicPartition, plan::Position>& positions,
                            const std::optional<Receipt>& receipt,
                            const std::vector<LossEntry>& losses) override {
        return write("put commit " + text(commit) + text(losses),
                     [&] { return inner_->put_commit(pipeline, commit, positions, receipt, losses); },
                     [&] { judge_.committed(commit, positions, receipt, losses); });
    }
    Result<void> put_refused(const std::string& pipeline, std::uint64_t batch_id,
                             const std::vector<RefusedRecord>& records) override {
        return write("put refused " + std::to_string(records.size()),
                     [&] { return inner_->put_refused(pipeline, batch_id, records); }, [] {});
    }
    Result<std::vector<RefusedRecord>> refused(const std::string& pipeline,
                                               std::uint64_t batch_id) const override {
        return inner_->refused(pipeline, batch_id);
    }
    Result<void> put_losses(const std::string& pipeline, const std::vector<LossEntry>& losses) override {
        return write("put losses" + text(losses), [&] { return inner_->put_losses(pipeline, losses); },
                     [&] { judge_.noted(losses); });
    }
    Result<void> put_move(const std::string& pipeline, const Move& move) override {
        std::string what = "put move" + text(move.accept) + " to";
        for (const auto& [tp, position] : move.positions) {
            what += " " + plan::to_string(tp) + "@" + std::to_string(position.offset);
        }
        if (move.abandons) what += ", abandon " + std::to_string(*move.abandons);
        return write(what, [&] { return inner_->put_move(pipeline, move); }, [&] { judge_.moved(move); });
    }
    Result<void> put_run_state(const std::string& pipeline, RunState state,
                               const ControlEntry& audit) override {
        return write("put run state " + std::string(name_of(state)),
                     [&] { return inner_->put_run_state(pipeline, state, audit); }, [] {});
    }
    Result<std::vector<BatchSummary>> batches(const std::string& pipeline, std::size_t limit) const override {
        return inner_->batches(pipeline, limit);
    }
    Result<BatchSummary> batch(const std::string& pipeline, std::uint64_t id) const override {
        return inner_->batch(pipeline, id);
    }
    Result<BatchSummary> find_batch(const std::string& pipeline, const TopicPartition& partition,
                                    std::int64_t offset) const override {
        return inner_->find_batch(pipeline, partition, offset);
    }
    Result<std::vector<LossEntry>> losses(const std::string& pipeline) const override {
        return inner_->losses(pipeline);
    }
    Result<std::vector<ControlEntry>> audit(const std::string& pipeline) const override {
        return inner_->audit(pipeline);
    }
    Result<void> trim_history(const HistoryLimit& limit, WallTime now) override {
        return inner_->trim_history(limit, now);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return inner_->rename(from, to);
    }
    Result<void> forget(const std::string& pipeline) override { return inner_->forget(pipeline); }

 private:
    template <class Write, class Tell>
    Result<void> write(const std::string& what, Write do_write, Tell tell) {
        world_.effect("store: " + what);
        if (world_.fault(world_.faults.store_error)) {
            world_.note("full disk");
            return full_disk();
        }
        auto written = do_write();
        if (!written) {
            world_.note("refused: " + written.error().message);
            return written;
        }
        tell();
        world_.effect("stored");
        if (world_.fault(world_.faults.store_doubt)) {
            world_.note("full disk, although it was written");
            return full_disk();
        }
        return written;
    }

    World& world_;
    Judge& judge_;
    std::unique_ptr<Store> inner_;
};

}  // namespace

std::unique_ptr<Store> guard(World& world, Judge& judge, std::unique_ptr<Store> inner) {
    return std::make_unique<GuardedStore>(world, judge, std::move(inner));
}

}  // namespace sluice::simulation
