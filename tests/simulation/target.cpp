#include "tests/simulation/target.hpp"

#include <charconv>

namespace sluice::simulation {
namespace {

std::string name_of_batch(std::uint64_t id) { return "batch " + std::to_string(id); }

Value value_of(const sluice_record& record) {
    Value value = 0;
    const char* const text = reinterpret_cast<const char*>(record.value.data);
    std::from_chars(text, text + record.value.size, value);
    return value;
}

class SimulatedSink final : public sink::Sink {
 public:
    SimulatedSink(World& world, const Broker& broker, Target& target, const Manner& manner,
                  std::string pipeline)
        : world_(world), broker_(broker), target_(target), manner_(manner), pipeline_(std::move(pipeline)) {}

    ~SimulatedSink() override {
        if (world_.dead) return;
        world_.note("sink closed");
        if (begun_) world_.violate_quietly("the sink is closed with " + name_of_batch(*begun_) + " begun");
    }

    sink::Reply begin(const sink::Batch& batch) override {
        world_.effect("sink begin " + std::to_string(batch.id) + (batch.is_rerun ? " again" : ""));
        world_.maybe_slow();
        if (begun_) world_.violate("begin while " + name_of_batch(*begun_) + " is begun");
        std::vector<Piece> pieces;
        for (const sink::Range& range : batch.ranges) {
            pieces.push_back({range.topic, range.partition, range.from, range.until});
        }
        const auto [known, first] = target_.begun.try_emplace(batch.id, pieces);
        if (!first && known->second != pieces) {
            world_.violate(name_of_batch(batch.id) + " is begun with other ranges than before");
        }
        if (!first && !batch.is_rerun) {
            world_.violate(name_of_batch(batch.id) + " is begun a second time, not as a re-run");
        }
        if (batch.id != target_.begun.rbegin()->first) {
            world_.violate(name_of_batch(batch.id) + " is begun after a later one");
        }
        if (auto trouble = fails()) return *trouble;
        if (const auto have = target_.committed.find(batch.id);
            batch.is_rerun && have != target_.committed.end()) {
            world_.effect("already committed");
            target_.receipts[batch.id] = have->second.receipt;
            return {sink::Status::already_committed, "", have->second.receipt};
        }
        begun_ = batch.id;
        ranges_ = batch.ranges;
        opened_.assign(ranges_.size(), false);
        kept_.assign(ranges_.size(), false);
        staged_.clear();
        to_refuse_.clear();
        lost_ = false;
        world_.effect("begun");
        return {};
    }

    sink::WriterReply open_writer(const sink::Range& range) override;

    sink::Reply commit(std::uint64_t id) override {
        world_.effect("sink commit " + std::to_string(id));
        world_.maybe_slow();
        if (begun_ != id) world_.violate("commit of a batch that is not begun");
        for (const bool kept : kept_) {
            if (!kept) world_.violate("commit although a range has no writer that was closed and kept");
        }
        if (lost_) world_.violate("commit of a batch that the sink said is lost");
        if (auto trouble = fails()) return *trouble;
        if (!to_refuse_.empty()) return refuse_late();
        if (manner_.guarantee != sink::Guarantee::at_least_once) {
            for (const Value value : staged_) show(value);
        }
        std::string receipt = "receipt " + std::to_string(id) + "." + std::to_string(++target_.commits);
        if (manner_.guarantee == sink::Guarantee::exactly_once) {
            target_.committed[id] = {receipt, staged_};
        }
        world_.effect("sink has " + name_of_batch(id));
        if (world_.fault(world_.faults.sink_doubt)) {
            const bool fatal = world_.random.chance(2000);
            world_.note(fatal ? "answers FATAL" : "answers RETRY");
            return {fatal ? sink::Status::fatal : sink::Status::retry, "the answer was lost", ""};
        }
        begun_.reset();
        target_.receipts[id] = receipt;
        return {sink::Status::ok, "", receipt};
    }

    sink::Reply abort(std::uint64_t id) override {
        world_.effect("sink abort " + std::to_string(id));
        if (begun_ != id) world_.violate("abort of a batch that is not begun");
        if (writers_ > 0) world_.violate("abort while a writer is open");
        begun_.reset();
        staged_.clear();
        if (auto trouble = fails()) return *trouble;
        return {};
    }

 private:
    class Writer;

    /// RETRY or FATAL from any call, now and then.
    std::optional<sink::Reply> fails() {
        if (world_.fault(world_.faults.sink_fatal)) {
            world_.note("answers FATAL");
            return sink::Reply{sink::Status::fatal, "somebody has to look", ""};
        }
        if (world_.fault(world_.faults.sink_retry)) {
            world_.note("answers RETRY");
            return sink::Reply{sink::Status::retry, "busy", ""};
        }
        return std::nullopt;
    }

    /// What was taken and cannot stay: the batch is lost.
    sink::Reply refuse_late() {
        lost_ = true;
        world_.note("refuses " + std::to_string(to_refuse_.size()) + " records that it had taken");
        return {sink::Status::reject, "came late", "", std::exchange(to_refuse_, {})};
    }

    void show(Value value) {
        int& count = target_.visible[value];
        if (manner_.guarantee == sink::Guarantee::idempotent) {
            count = 1;
        } else {
            ++count;
        }
    }

    World& world_;
    const Broker& broker_;
    Target& target_;
    const Manner manner_;
    const std::string pipeline_;
    std::optional<std::uint64_t> begun_;
    std::vector<sink::Range> ranges_;
    std::vector<bool> opened_;
    std::vector<bool> kept_;
    std::set<Value> staged_;
    std::vector<sink::Refused> to_refuse_;  ///< taken, to be refused at a close or at the commit
    bool lost_ = false;                     ///< only an abort may follow
    int writers_ = 0;
};

class SimulatedSink::Writer final : public sink::Writer {
 public:
    Writer(SimulatedSink& sink, const sink::Range& range) : sink_(sink), range_(range), next_(range.from) {
        ++sink_.writers_;
    }
    ~Writer() override {
        if (open_) --sink_.writers_;
    }

    sink::WriteReply write(std::span<const sluice_record> records) override {
        World& world = sink_.world_;
        world.effect("write " + range_.token + " " + std::to_string(records.size()) + " from " +
                     std::to_string(records.empty() ? -1 : records.front().offset));
        world.maybe_slow();
        if (!open_) world.violate("write to a writer that is closed");
        if (records.empty()) world.violate("write of nothing");
        if (retried_ && *retried_ != records.front().offset) {
            world.violate("after RETRY, other records are written than before");
        }
        if (auto trouble = sink_.fails()) {
            const bool retry = trouble->status == sink::Status::retry;
            if (retry && world.random.chance(3000)) return lose({});
            if (retry) retried_ = records.front().offset;
            return {trouble->status, trouble->message, 0, {}};
        }
        retried_.reset();
        sink::WriteReply reply = refuse(records);
        if (reply.status != sink::Status::ok && reply.reject_kind != SLUICE_REJECT_WHICH) return reply;
        for (const sluice_record& record : records) take(record);
        world.effect("written");
        return reply;
    }

    sink::Reply close(bool keep) override {
        World& world = sink_.world_;
        world.effect(std::string("close writer ") + range_.token + (keep ? " keep" : " drop"));
        if (!open_) world.violate("a writer is closed twice");
        if (keep && retried_) world.violate("a writer is closed and kept before its records were taken");
        open_ = false;
        --sink_.writers_;
        if (keep && lost_here_) world.violate("a writer is closed and kept after it lost the batch");
        if (auto trouble = sink_.fails()) return *trouble;
        if (keep && !sink_.to_refuse_.empty() && world.random.coin()) return sink_.refuse_late();
        if (keep) sink_.kept_[range_.index] = true;
        return {};
    }

 private:
    sink::WriteReply lose(std::vector<sink::Reject> which) {
        sink_.world_.note("the batch is lost over " + std::to_string(which.size()) + " records");
        sink_.lost_ = lost_here_ = true;
        return {sink::Status::reject, "the connection is gone", SLUICE_REJECT_BATCH_LOST, std::move(which), {}};
    }

    /// In a form that is drawn for each call.
    sink::WriteReply refuse(std::span<const sluice_record> records) {
        std::vector<sink::Reject> which;
        for (std::size_t i = 0; i < records.size(); ++i) {
            if (is_refused(sink_.manner_, value_of(records[i]))) which.push_back({i, "not a number"});
        }
        if (which.empty()) return {};
        switch (sink_.world_.random.below(4)) {
            case 0: return lose(std::move(which));
            case 1: return {sink::Status::reject, "one is wrong", SLUICE_REJECT_ALL, {}, {}};
            case 2:
                for (const auto& reject : which) {
                    sink_.to_refuse_.push_back({range_.index, records[reject.index].offset, reject.reason});
                }
                return {};
            default: return {sink::Status::reject, "some are wrong", SLUICE_REJECT_WHICH, std::move(which), {}};
        }
    }

    void take(const sluice_record& record) {
        World& world = sink_.world_;
        const Value value = value_of(record);
        const Place* const place = sink_.broker_.place_of(value);
        const TopicPartition tp{{record.topic.data, record.topic.size}, record.partition};
        if (place == nullptr || place->log.topic_partition != tp || place->offset != record.offset) {
            world.violate("a record that is in no log: " + plan::to_string(tp) + "@" +
                          std::to_string(record.offset));
        }
        if (tp.topic != range_.topic || tp.partition != range_.partition || record.offset < next_ ||
            record.offset >= range_.until) {
            world.violate("record " + plan::to_string(tp) + "@" + std::to_string(record.offset) +
                          " is not the next of range " + range_.token);
        }
        next_ = record.offset + 1;
        if (is_refused(sink_.manner_, value)) return;
        if (!sink_.staged_.insert(value).second) world.violate("a record twice in one batch");
        if (sink_.manner_.guarantee == sink::Guarantee::at_least_once) sink_.show(value);
    }

    SimulatedSink& sink_;
    const sink::Range range_;
    std::int64_t next_;
    std::optional<std::int64_t> retried_;  ///< offset of the records that were not taken
    bool open_ = true;
    bool lost_here_ = false;
};

sink::WriterReply SimulatedSink::open_writer(const sink::Range& range) {
    world_.effect("open writer " + range.token);
    world_.maybe_slow();
    if (!begun_) world_.violate("a writer is opened although no batch is begun");
    if (range.index >= ranges_.size()) world_.violate("a writer for a range that does not exist");
    const sink::Range& planned = ranges_[range.index];
    if (range.topic != planned.topic || range.partition != planned.partition ||
        range.from != planned.from || range.until != planned.until) {
        world_.violate("a writer for another range than the one begun: " + range.token);
    }
    const std::string token =
        pipeline_ + "/" + std::to_string(*begun_) + "/" + std::to_string(range.index);
    if (range.token != token || planned.token != token) {
        world_.violate("the token is " + range.token + ", not " + token);
    }
    if (opened_[range.index]) world_.violate("range " + token + " is written twice in one run");
    if (manner_.ordered && (writers_ > 0 || (range.index > 0 && !kept_[range.index - 1]))) {
        world_.violate("an ordered sink is given range " + token + " out of order");
    }
    if (auto trouble = fails()) return {*trouble, nullptr};
    opened_[range.index] = true;
    return {{}, std::make_unique<Writer>(*this, range)};
}

class SimulatedPlugin final : public sink::Plugin {
 public:
    SimulatedPlugin(World& world, const Broker& broker, Target& target, const Manner& manner)
        : world_(world), broker_(broker), target_(target), manner_(manner) {}

    const std::string& name() const override { return name_; }
    const std::string& version() const override { return name_; }
    const std::string& sentence() const override { return name_; }
    sink::Guarantee guarantee() const override { return manner_.guarantee; }
    bool ordered() const override { return manner_.ordered; }
    const std::vector<sink::Option>& options() const override { return options_; }
    const std::filesystem::path& file() const override { return file_; }
    Result<void> check(const std::string&, const sink::Settings&) const override { return {}; }

    sink::OpenReply open(const sink::SinkContext& context, const sink::Settings&,
                         const std::atomic<bool>&) const override {
        world_.effect("sink open, next batch " + std::to_string(context.next_batch_id) + ", " +
                      context.receipt.value_or("no receipt"));
        check_receipt(context);
        if (world_.fault(world_.faults.sink_fatal)) {
            return {{sink::Status::fatal, "somebody has to look", ""}, nullptr};
        }
        if (world_.fault(world_.faults.sink_retry)) {
            return {{sink::Status::retry, "no route to the database", ""}, nullptr};
        }
        world_.effect("sink opened");
        return {{sink::Status::ok, "", context.receipt ? "" : "initial receipt"},
                std::make_unique<SimulatedSink>(world_, broker_, target_, manner_, context.pipeline)};
    }

 private:
    /// A sink that finds out by its receipt how far it is supposed to be: nothing that it has may be
    /// newer, but for the one batch that comes next.
    void check_receipt(const sink::SinkContext& context) const {
        for (const auto& [id, batch] : target_.committed) {
            if (id > context.next_batch_id) {
                world_.violate("the sink has " + name_of_batch(id) + ", the checkpoint is older");
            }
        }
        if (context.receipt != target_.recorded) {
            world_.violate("the sink is handed '" + context.receipt.value_or("no receipt") +
                           "', not the newest one, '" + target_.recorded.value_or("no receipt") + "'");
        }
    }

    World& world_;
    const Broker& broker_;
    Target& target_;
    const Manner manner_;
    const std::string name_ = "simulated";
    const std::vector<sink::Option> options_;
    const std::filesystem::path file_;
};

class SimulatedLetters final : public pipeline::DeadLetters {
 public:
    SimulatedLetters(World& world, Target& target, const Manner& manner)
        : world_(world), target_(target), manner_(manner) {}

    Result<void> begin(std::uint64_t batch_id) override {
        world_.effect("dead letters begin " + std::to_string(batch_id));
        unsettled_.clear();
        return {};
    }
    Result<void> add(const sluice_record& record, sluice_headers, const std::string&,
                     const std::stop_token&) override {
        world_.effect("dead letter @" + std::to_string(record.offset));
        if (world_.fault(world_.faults.sink_retry)) return Error{ErrorCode::unavailable, "no broker", true};
        unsettled_.push_back(value_of(record));
        return {};
    }
    Result<void> settle(const std::stop_token&) override {
        world_.effect("dead letters settle");
        if (world_.fault(world_.faults.sink_retry)) return Error{ErrorCode::unavailable, "no broker", true};
        for (const Value value : unsettled_) {
            // Unsettled ones may be: of a topic created anew, where an offset was refused before.
            if (!is_refused(manner_, value)) world_.violate("a dead letter that the sink takes");
            ++target_.letters[value];
        }
        unsettled_.clear();
        world_.effect("dead letters settled");
        return {};
    }

 private:
    World& world_;
    Target& target_;
    const Manner manner_;
    std::vector<Value> unsettled_;
};

}  // namespace

std::unique_ptr<pipeline::DeadLetters> make_dead_letters(World& world, Target& target, const Manner& manner) {
    return std::make_unique<SimulatedLetters>(world, target, manner);
}

std::shared_ptr<const sink::Plugin> make_plugin(World& world, const Broker& broker, Target& target,
                                                const Manner& manner) {
    return std::make_shared<SimulatedPlugin>(world, broker, target, manner);
}

}  // namespace sluice::simulation
