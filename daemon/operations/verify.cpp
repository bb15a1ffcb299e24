#include "daemon/operations/verify.hpp"

#include <algorithm>
#include <map>

#include "daemon/base/text.hpp"
#include "daemon/operations/json.hpp"
#include "daemon/operations/judge.hpp"

namespace sluice::operations {
namespace {

using checkpoints::BatchState;
using checkpoints::BatchSummary;
using checkpoints::RangeBooks;

/// What became of reading one range again.
enum class Again { same, differs, not_retained, cut_since, lost, not_read };

std::string_view name_of(Again again) {
    switch (again) {
        case Again::same: return "same";
        case Again::differs: return "differs";
        case Again::not_retained: return "no longer retained";
        case Again::cut_since: return "truncated since";
        case Again::lost: return "lost";
        case Again::not_read: return "not read";
    }
    return "not read";
}

struct Sums {
    std::uint64_t ranges = 0;
    std::uint64_t offsets = 0;
    std::vector<RangeBooks> books;  ///< at most one: the sum
    std::uint64_t aborted = 0;
    std::uint64_t control = 0;
    std::uint64_t compacted_or_control = 0;
    std::uint64_t not_explained = 0;
    std::uint64_t compacted_since = 0;
    std::uint64_t read_again = 0;
    std::uint64_t not_retained = 0;
    std::uint64_t not_read = 0;

    void add(const plan::OffsetRange& range, const RangeBooks& one, Again again, const Explained& explained) {
        ++ranges;
        offsets += plan::size_of(range);
        books.push_back(one);
        books = {sum_of(books)};
        aborted += explained.aborted;
        control += explained.control;
        compacted_or_control += explained.compacted_or_control;
        compacted_since += explained.compacted_since;
        if (again != Again::same) not_explained += one.gaps;
        if (again == Again::same || again == Again::differs) ++read_again;
        if (again == Again::not_retained || again == Again::cut_since) ++not_retained;
        if (again == Again::not_read) ++not_read;
    }

    [[nodiscard]] json::object to_json() const {
        json::object object = operations::to_json(books.empty() ? RangeBooks{} : books.front());
        object["ranges"] = ranges;
        object["offsets"] = offsets;
        object["aborted"] = aborted;
        object["control"] = control;
        object["compacted_or_control"] = compacted_or_control;
        object["not_explained"] = not_explained;
        object["compacted_since"] = compacted_since;
        object["read_again"] = read_again;
        object["not_retained"] = not_retained;
        object["not_read"] = not_read;
        return object;
    }
};

json::object to_json(const Finding& finding) {
    json::object object{{"kind", name_of(finding.kind)}, {"batch", finding.batch_id}, {"range", nullptr},
                        {"topic", nullptr},              {"partition", nullptr},      {"text", finding.text}};
    if (finding.range) object["range"] = *finding.range;
    if (finding.topic_partition) {
        object["topic"] = finding.topic_partition->topic;
        object["partition"] = finding.topic_partition->partition;
    }
    return object;
}

std::string note_of(const checkpoints::LossEntry& cut, std::uint64_t ranges) {
    return plan::to_string(cut.loss.topic_partition) + ": " + std::to_string(ranges) +
           (ranges == 1 ? " range was" : " ranges were") + " read before the log was cut at offset " +
           std::to_string(cut.loss.adjusted_start) + " (" + std::string(plan::name_of(cut.loss.kind)) +
           ", noted " + to_iso8601(cut.detected_at) +
           "): what is at those offsets now, if anything, was written anew and is not compared";
}

bool is_committed(const BatchSummary& batch) {
    return batch.commit && batch.commit->state == BatchState::committed;
}

/// One verification, its parts sharing what the cluster said.
class Verification {
 public:
    Verification(const History& history, const Reread* reread) : history_(history), reread_(reread) {}

    Result<json::object> run() {
        for (const BatchSummary& batch : history_.batches) {
            for (auto& one : judge_books(batch, history_.losses)) findings_.push_back(std::move(one));
        }
        for (auto& one : judge_continuity(history_)) findings_.push_back(std::move(one));
        if (reread_ == nullptr) {
            not_read_because_ = "only the books were asked for";
        } else {
            SLUICE_CHECK(look());
        }
        for (const BatchSummary& batch : history_.batches) {
            if (!is_committed(batch)) continue;
            for (std::size_t i = 0; i < batch.plan.ranges.size() && i < batch.commit->books.size(); ++i) {
                check(batch, i);
            }
        }
        return report();
    }

 private:
    Result<void> look() {
        std::set<std::string> topics;
        for (const BatchSummary& batch : history_.batches) {
            if (!is_committed(batch)) continue;
            for (const auto& planned : batch.plan.ranges) topics.insert(planned.range.topic_partition.topic);
        }
        if (topics.empty()) return {};
        auto now = reread_->look(topics);
        if (!now) {
            not_read_because_ = now.error().message;
            return {};
        }
        if (!history_.cluster_id.empty() && now->cluster_id != history_.cluster_id) {
            return Error{ErrorCode::configuration,
                         "pipeline '" + history_.pipeline + "' was read from cluster " + history_.cluster_id +
                             ", but kafka.bootstrap.servers answers as cluster " + now->cluster_id +
                             ": there is nothing to compare"};
        }
        now_ = *std::move(now);
        return {};
    }

    [[nodiscard]] bool is_retained(const plan::PlannedRange& planned, std::int64_t from) const {
        const auto there = now_.partitions.find(planned.range.topic_partition);
        if (there == now_.partitions.end() || there->second.earliest > from) return false;
        return planned.topic_id.empty() || there->second.topic_id.empty() ||
               planned.topic_id == there->second.topic_id;
    }

    /// Counts [from, until) again; nullopt when the broker does not have all of it any more.
    Result<std::optional<Recount>> count_again(const plan::PlannedRange& planned, std::int64_t from,
                                               const RangeBooks& books) {
        const plan::OffsetRange range{planned.range.topic_partition, from, planned.range.until};
        const auto policy = now_.cleanup_policy.find(range.topic_partition.topic);
        Recount recount;
        recount.compacted =
            policy == now_.cleanup_policy.end() || policy->second.find("compact") != std::string::npos;
        const auto count = [&](const std::string& isolation) -> Result<std::optional<kafka::RangeCounts>> {
            auto counts = reread_->count(range, isolation);
            if (counts) return std::optional<kafka::RangeCounts>{*counts};
            if (counts.error().code == ErrorCode::out_of_range) return std::optional<kafka::RangeCounts>{};
            return std::move(counts).error();
        };
        SLUICE_TRY(const auto own, count(reread_->isolation_level));
        if (!own) return std::optional<Recount>{};
        recount.records = recount.uncommitted = own->polled;
        recount.bytes = own->bytes;
        if (own->gaps > 0 && books.gaps > 0 && reread_->isolation_level != "read_uncommitted") {
            SLUICE_TRY(const auto all, count("read_uncommitted"));
            if (!all) return std::optional<Recount>{};
            recount.uncommitted = all->polled;
        }
        return std::optional<Recount>{recount};
    }

    /// Whether the range can be, and was, read again; a broker that is silent ends the reading.
    Again read_again(const BatchSummary& batch, std::size_t index, Explained& explained) {
        const plan::PlannedRange& planned = batch.plan.ranges[index];
        const RangeBooks& books = batch.commit->books[index];
        const std::uint64_t size = plan::size_of(planned.range);
        if (books.lost >= size) return Again::lost;
        if (!not_read_because_.empty()) return Again::not_read;
        const std::int64_t from = planned.range.from + static_cast<std::int64_t>(books.lost);
        if (!is_retained(planned, from)) return Again::not_retained;
        if (const auto* cut = cut_since(planned, batch.plan.planned_at, history_.losses)) {
            ++cut_[cut];
            return Again::cut_since;
        }
        auto recount = count_again(planned, from, books);
        if (!recount) {
            not_read_because_ = recount.error().message;
            return Again::not_read;
        }
        if (!*recount) return Again::not_retained;
        explained = explain(books, **recount);
        if (!explained.differs) return Again::same;
        findings_.push_back({FindingKind::count_differs, batch.plan.batch_id, index,
                             planned.range.topic_partition,
                             plan::to_string(planned.range.topic_partition) + ": [" +
                                 std::to_string(planned.range.from) + ", " +
                                 std::to_string(planned.range.until) + ") " + *explained.differs});
        return Again::differs;
    }

    void check(const BatchSummary& batch, std::size_t index) {
        const plan::PlannedRange& planned = batch.plan.ranges[index];
        const RangeBooks& books = batch.commit->books[index];
        Explained explained;
        const Again again = read_again(batch, index, explained);
        by_topic_[planned.range.topic_partition.topic].add(planned.range, books, again, explained);
        total_.add(planned.range, books, again, explained);
        json::object range = operations::to_json(planned, index);
        range["range"] = range["index"];
        range.erase("index");
        range.erase("lane");
        range["batch"] = batch.plan.batch_id;
        range["books"] = operations::to_json(books);
        range["again"] = name_of(again);
        for (const char* key : {"aborted", "control", "compacted_or_control"}) range[key] = nullptr;
        if (again == Again::same) {
            range["aborted"] = explained.aborted;
            range["control"] = explained.control;
            range["compacted_or_control"] = explained.compacted_or_control;
        }
        ranges_.push_back(std::move(range));
    }

    [[nodiscard]] json::object counted_batches() const {
        json::object counts{{"first", nullptr}, {"last", nullptr}};
        if (!history_.batches.empty()) {
            counts["first"] = history_.batches.front().plan.batch_id;
            counts["last"] = history_.batches.back().plan.batch_id;
        }
        std::map<BatchState, std::uint64_t> states;
        for (const BatchSummary& batch : history_.batches) {
            ++states[batch.commit ? batch.commit->state : BatchState::planned];
        }
        counts["committed"] = states[BatchState::committed];
        counts["recovered"] = states[BatchState::recovered];
        counts["abandoned"] = states[BatchState::abandoned];
        counts["open"] = states[BatchState::planned];
        return counts;
    }

    json::object report() {
        std::stable_sort(findings_.begin(), findings_.end(),
                         [](const Finding& a, const Finding& b) { return a.batch_id < b.batch_id; });
        json::object report{{"pipeline", history_.pipeline}, {"findings", json::array{}},
                            {"batches", counted_batches()},  {"topics", json::array{}},
                            {"total", total_.to_json()},     {"ranges", std::move(ranges_)},
                            {"not_read_because", nullptr},   {"notes", json::array{}}};
        for (const Finding& one : findings_) report["findings"].as_array().push_back(to_json(one));
        auto& notes = report["notes"].as_array();
        for (const auto& [topic, sums] : by_topic_) {
            json::object object = sums.to_json();
            object["topic"] = topic;
            object["cleanup_policy"] = nullptr;
            if (const auto policy = now_.cleanup_policy.find(topic); policy != now_.cleanup_policy.end()) {
                object["cleanup_policy"] = policy->second;
            } else if (reread_ != nullptr && sums.read_again > 0) {
                notes.emplace_back("the cleanup.policy of " + topic +
                                   " may not be read (ACL DESCRIBE_CONFIGS on the topic): it is taken for "
                                   "compacted, so records that are missing now would not be noticed");
            }
            report["topics"].as_array().push_back(std::move(object));
        }
        if (reread_ != nullptr && !not_read_because_.empty()) report["not_read_because"] = not_read_because_;
        for (const auto& [cut, ranges] : cut_) notes.emplace_back(note_of(*cut, ranges));
        const json::object& batches = report["batches"].as_object();
        if (batches.at("recovered").as_uint64() > 0) {
            notes.emplace_back("recovered batches have no books: the sink had them after a crash, and they "
                               "could not be read any more to be counted");
        }
        return report;
    }

    const History& history_;
    const Reread* reread_;
    kafka::TopicsNow now_;
    std::vector<Finding> findings_;
    std::map<std::string, Sums> by_topic_;
    Sums total_;
    json::array ranges_;
    std::string not_read_because_;
    std::map<const checkpoints::LossEntry*, std::uint64_t> cut_;  ///< ranges that each loss cut; in history_
};

}  // namespace

Result<json::object> verify(const History& history, const Reread* reread) {
    return Verification(history, reread).run();
}

}  // namespace sluice::operations
