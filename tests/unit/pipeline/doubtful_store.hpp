#pragma once
// A checkpoint store that is told to answer "full disk", although it has written.

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "checkpoints/store.hpp"

namespace sluice::pipeline::testing {

class DoubtfulStore final : public checkpoints::Store {
 public:
    /// The first write of each kind named is in doubt: "initial", "receipt", "plan", "commit", "losses".
    DoubtfulStore(std::unique_ptr<checkpoints::Store> inner, std::set<std::string> doubtful)
        : inner_(std::move(inner)), doubtful_(std::move(doubtful)) {}

    [[nodiscard]] bool is_through() const { return doubtful_.empty(); }

    Result<checkpoints::PipelineState> load(const std::string& pipeline) const override {
        return inner_->load(pipeline);
    }
    Result<std::vector<std::string>> pipelines() const override { return inner_->pipelines(); }
    Result<void> bind_cluster(const std::string& pipeline, const std::string& cluster) override {
        return inner_->bind_cluster(pipeline, cluster);
    }
    Result<void> put_initial(const std::string& pipeline, const std::string& json,
                             const std::map<plan::TopicPartition, plan::Position>& positions) override {
        return doubt("initial", inner_->put_initial(pipeline, json, positions));
    }
    Result<void> put_initial_receipt(const std::string& pipeline,
                                     const checkpoints::Receipt& receipt) override {
        return doubt("receipt", inner_->put_initial_receipt(pipeline, receipt));
    }
    Result<void> put_plan(const std::string& pipeline, const checkpoints::Plan& plan,
                          const std::vector<checkpoints::LossEntry>& losses) override {
        return doubt("plan", inner_->put_plan(pipeline, plan, losses));
    }
    Result<void> put_commit(const std::string& pipeline, const checkpoints::Commit& commit,
                            const std::map<plan::TopicPartition, plan::Position>& positions,
                            const std::optional<checkpoints::Receipt>& receipt,
                            const std::vector<checkpoints::LossEntry>& losses) override {
        return doubt("commit", inner_->put_commit(pipeline, commit, positions, receipt, losses));
    }
    Result<void> put_refused(const std::string& pipeline, std::uint64_t batch_id,
                             const std::vector<checkpoints::RefusedRecord>& records) override {
        return inner_->put_refused(pipeline, batch_id, records);
    }
    Result<std::vector<checkpoints::RefusedRecord>> refused(const std::string& pipeline,
                                                            std::uint64_t batch_id) const override {
        return inner_->refused(pipeline, batch_id);
    }
    Result<void> put_losses(const std::string& pipeline,
                            const std::vector<checkpoints::LossEntry>& losses) override {
        return doubt("losses", inner_->put_losses(pipeline, losses));
    }
    Result<void> put_move(const std::string& pipeline, const Move& move) override {
        return inner_->put_move(pipeline, move);
    }
    Result<void> put_run_state(const std::string& pipeline, checkpoints::RunState state,
                               const checkpoints::ControlEntry& audit) override {
        return inner_->put_run_state(pipeline, state, audit);
    }
    Result<std::vector<checkpoints::BatchSummary>> batches(const std::string& pipeline,
                                                           std::size_t limit) const override {
        return inner_->batches(pipeline, limit);
    }
    Result<checkpoints::BatchSummary> batch(const std::string& pipeline, std::uint64_t id) const override {
        return inner_->batch(pipeline, id);
    }
    Result<checkpoints::BatchSummary> find_batch(const std::string& pipeline,
                                                 const plan::TopicPartition& partition,
                                                 std::int64_t offset) const override {
        return inner_->find_batch(pipeline, partition, offset);
    }
    Result<std::vector<checkpoints::LossEntry>> losses(const std::string& pipeline) const override {
        return inner_->losses(pipeline);
    }
    Result<std::vector<checkpoints::ControlEntry>> audit(const std::string& pipeline) const override {
        return inner_->audit(pipeline);
    }
    Result<void> trim_history(const checkpoints::HistoryLimit& limit, WallTime now) override {
        return inner_->trim_history(limit, now);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
        return inner_->rename(from, to);
    }
    Result<void> forget(const std::string& pipeline) override { return inner_->forget(pipeline); }

 private:
    Result<void> doubt(const std::string& kind, Result<void> written) {
        if (!written || doubtful_.erase(kind) == 0) return written;
        return Error{ErrorCode::storage, "no space left on device", true};
    }

    std::unique_ptr<checkpoints::Store> inner_;
    std::set<std::string> doubtful_;
};

}  // namespace sluice::pipeline::testing
