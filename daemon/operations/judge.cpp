#include "daemon/operations/judge.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/base/text.hpp"

namespace sluice::operations {
namespace {

using checkpoints::BatchState;
using checkpoints::BatchSummary;
using checkpoints::LossEntry;
using plan::OffsetRange;
using plan::TopicPartition;

std::string number(std::uint64_t count) { return format_count(static_cast<std::int64_t>(count)); }

std::string extent(std::int64_t from, std::int64_t until) {
    std::string text(1, '[');
    text.append(std::to_string(from)).append(", ").append(std::to_string(until)).append(")");
    return text;
}

BatchState state_of(const BatchSummary& batch) {
    return batch.commit ? batch.commit->state : BatchState::planned;
}

struct Extent {
    std::int64_t from = 0;
    std::int64_t until = 0;
};

/// What of `whole` none of `parts` covers; the first piece of it.
std::optional<Extent> first_uncovered(Extent whole, std::vector<Extent> parts) {
    std::sort(parts.begin(), parts.end(),
              [](const Extent& a, const Extent& b) { return a.from < b.from; });
    for (const Extent& part : parts) {
        if (part.from > whole.from) break;
        whole.from = std::max(whole.from, part.until);
    }
    if (whole.from >= whole.until) return std::nullopt;
    for (const Extent& part : parts) {
        if (part.from > whole.from) whole.until = std::min(whole.until, part.from);
    }
    return whole;
}

/// Unknown ids never count as different.
bool same_topic(const std::string& a, const std::string& b) { return a.empty() || b.empty() || a == b; }

/// The log ended below the position, and may go on with other records.
bool is_cut(const plan::Loss& loss) {
    return loss.kind == plan::LossKind::went_back || loss.kind == plan::LossKind::truncated;
}

/// Where one partition was read to, and by whom.
struct Mark {
    std::int64_t until = 0;
    std::string topic_id;
    std::uint64_t batch_id = 0;
    WallTime planned_at{};
};

/// One partition going from one batch to the next.
class Step {
 public:
    Step(const History& history, const TopicPartition& partition, const Mark& before, const Mark& now)
        : history_(history), partition_(partition), before_(before), now_(now) {}

    /// A move of this partition after the earlier plan and before the later one.
    [[nodiscard]] std::vector<const PositionMove*> moves() const {
        std::vector<const PositionMove*> found;
        for (const PositionMove& move : history_.moves) {
            if (move.topic_partition == partition_ && move.at >= before_.planned_at &&
                move.at <= now_.planned_at) {
                found.push_back(&move);
            }
        }
        return found;
    }

    [[nodiscard]] bool new_topic_is_explained() const {
        if (!moves().empty()) return true;
        return std::any_of(history_.losses.begin(), history_.losses.end(), [&](const LossEntry& entry) {
            const plan::Loss& loss = entry.loss;
            return loss.topic_partition == partition_ && same_topic(loss.topic_id, before_.topic_id) &&
                   (loss.kind == plan::LossKind::topic_recreated ||
                    loss.kind == plan::LossKind::topic_gone || loss.kind == plan::LossKind::partition_gone);
        });
    }

    /// What is left of a hole when losses and moves are taken from it.
    [[nodiscard]] std::optional<Extent> unexplained_hole(std::int64_t from, std::int64_t until) const {
        std::vector<Extent> parts;
        for (const LossEntry& entry : history_.losses) {
            const plan::Loss& loss = entry.loss;
            if (loss.topic_partition != partition_ || !same_topic(loss.topic_id, now_.topic_id)) continue;
            parts.push_back({loss.from, loss.until});
        }
        for (const PositionMove* move : moves()) {
            if (move->after) parts.push_back({move->before.value_or(from), *move->after});
        }
        return first_uncovered({from, until}, std::move(parts));
    }

    [[nodiscard]] std::optional<Extent> unexplained_overlap(std::int64_t from, std::int64_t until) const {
        std::vector<Extent> parts;
        for (const LossEntry& entry : history_.losses) {
            const plan::Loss& loss = entry.loss;
            // The log was truncated: what is at these offsets now was not read before.
            if (loss.topic_partition == partition_ &&
                is_cut(loss) && same_topic(loss.topic_id, now_.topic_id)) {
                parts.push_back({loss.adjusted_start, std::max(loss.from, loss.until)});
            }
        }
        for (const PositionMove* move : moves()) {
            if (move->after) parts.push_back({*move->after, move->before.value_or(until)});
        }
        return first_uncovered({from, until}, std::move(parts));
    }

 private:
    const History& history_;
    const TopicPartition& partition_;
    const Mark& before_;
    const Mark& now_;
};

Finding finding(FindingKind kind, std::uint64_t batch_id, std::optional<std::size_t> range,
                const TopicPartition& partition, std::string text) {
    return {kind, batch_id, range, partition, plan::to_string(partition) + ": " + std::move(text)};
}

}  // namespace

std::string_view name_of(FindingKind kind) noexcept {
    switch (kind) {
        case FindingKind::unbalanced: return "unbalanced";
        case FindingKind::books_missing: return "books_missing";
        case FindingKind::not_in_ledger: return "not_in_ledger";
        case FindingKind::hole: return "hole";
        case FindingKind::overlap: return "overlap";
        case FindingKind::batch_missing: return "batch_missing";
        case FindingKind::count_differs: return "count_differs";
    }
    return "unbalanced";
}

std::vector<Finding> judge_books(const BatchSummary& batch, const std::vector<LossEntry>& losses) {
    std::vector<Finding> findings;
    if (state_of(batch) != BatchState::committed) return findings;
    const std::uint64_t id = batch.plan.batch_id;
    for (std::size_t i = 0; i < batch.plan.ranges.size(); ++i) {
        const plan::PlannedRange& planned = batch.plan.ranges[i];
        const OffsetRange& range = planned.range;
        const auto add = [&](FindingKind kind, std::string text) {
            findings.push_back(finding(kind, id, i, range.topic_partition,
                                       extent(range.from, range.until) + " " + std::move(text)));
        };
        if (i >= batch.commit->books.size()) {
            add(FindingKind::books_missing, "was committed without books");
            continue;
        }
        const checkpoints::RangeBooks& books = batch.commit->books[i];
        if (books.polled != books.accepted + books.filtered + books.dead_lettered) {
            add(FindingKind::unbalanced,
                number(books.polled) + " polled, but " + number(books.accepted) + " accepted + " +
                    number(books.filtered) + " filtered + " + number(books.dead_lettered) +
                    " dead-lettered");
        }
        if (plan::size_of(range) != books.polled + books.gaps + books.lost) {
            add(FindingKind::unbalanced, number(plan::size_of(range)) + " offsets, but " +
                                             number(books.polled) + " polled + " + number(books.gaps) +
                                             " gaps + " + number(books.lost) + " lost");
        }
        if (books.lost == 0 || books.lost > plan::size_of(range)) continue;
        std::vector<Extent> known;
        for (const LossEntry& entry : losses) {
            const plan::Loss& loss = entry.loss;
            if (loss.topic_partition == range.topic_partition &&
                same_topic(loss.topic_id, planned.topic_id)) {
                known.push_back({loss.from, loss.until});
            }
        }
        const Extent lost{range.from, range.from + static_cast<std::int64_t>(books.lost)};
        if (const auto unknown = first_uncovered(lost, std::move(known))) {
            add(FindingKind::not_in_ledger, number(books.lost) + " lost, but the loss ledger does not have " +
                                                extent(unknown->from, unknown->until));
        }
    }
    return findings;
}

std::vector<Finding> judge_continuity(const History& history) {
    std::vector<Finding> findings;
    std::map<TopicPartition, Mark> marks;
    const BatchSummary* previous = nullptr;
    for (const BatchSummary& batch : history.batches) {
        const std::uint64_t id = batch.plan.batch_id;
        if (previous != nullptr && id != previous->plan.batch_id + 1) {
            const std::uint64_t first = previous->plan.batch_id + 1;
            findings.push_back({FindingKind::batch_missing, first, std::nullopt, std::nullopt,
                                first + 1 == id ? "has no record, between two that have one"
                                                : "and those up to " + std::to_string(id - 1) +
                                                      " have no record, between two that have one"});
        }
        previous = &batch;
        if (state_of(batch) == BatchState::abandoned) continue;

        std::vector<std::size_t> order(batch.plan.ranges.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            const OffsetRange& left = batch.plan.ranges[a].range;
            const OffsetRange& right = batch.plan.ranges[b].range;
            return std::tie(left.topic_partition, left.from) < std::tie(right.topic_partition, right.from);
        });
        for (const std::size_t i : order) {
            const plan::PlannedRange& planned = batch.plan.ranges[i];
            const OffsetRange& range = planned.range;
            const Mark now{range.until, planned.topic_id, id, batch.plan.planned_at};
            const auto [at, is_first] = marks.try_emplace(range.topic_partition, now);
            if (is_first) continue;
            const Mark before = std::exchange(at->second, now);
            if (now.topic_id.empty()) at->second.topic_id = before.topic_id;
            const Step step(history, range.topic_partition, before, now);
            const std::string after = before.batch_id == id
                                          ? std::string("another range of the same batch")
                                          : "batch " + std::to_string(before.batch_id);
            const auto add = [&](FindingKind kind, std::string text) {
                findings.push_back(finding(kind, id, i, range.topic_partition, std::move(text)));
            };
            if (!same_topic(before.topic_id, planned.topic_id)) {
                if (!step.new_topic_is_explained()) {
                    add(FindingKind::hole, "the topic was created anew after " + after + " had read to " +
                                               std::to_string(before.until) +
                                               "; the loss ledger does not say so");
                }
            } else if (range.from > before.until) {
                if (const auto hole = step.unexplained_hole(before.until, range.from)) {
                    add(FindingKind::hole,
                        extent(hole->from, hole->until) + ", " +
                            number(static_cast<std::uint64_t>(hole->until - hole->from)) +
                            " offsets, was read by no batch: " + after + " ends at " +
                            std::to_string(before.until) + ", this one begins at " +
                            std::to_string(range.from) + "; neither the loss ledger nor a move says why");
                }
            } else if (range.from < before.until) {
                const std::int64_t end = std::min(range.until, before.until);
                if (const auto twice = step.unexplained_overlap(range.from, end)) {
                    add(FindingKind::overlap, extent(twice->from, twice->until) + ", " +
                                                  number(static_cast<std::uint64_t>(twice->until - twice->from)) +
                                                  " offsets, was read by " + after + " already; no move says why");
                }
            }
        }
    }
    return findings;
}

const LossEntry* cut_since(const plan::PlannedRange& planned, WallTime planned_at,
                           const std::vector<LossEntry>& losses) {
    const auto cut = std::find_if(losses.begin(), losses.end(), [&](const LossEntry& entry) {
        return is_cut(entry.loss) && entry.loss.topic_partition == planned.range.topic_partition &&
               same_topic(entry.loss.topic_id, planned.topic_id) && planned_at < entry.detected_at &&
               entry.loss.adjusted_start < planned.range.until;
    });
    return cut == losses.end() ? nullptr : &*cut;
}

Explained explain(const checkpoints::RangeBooks& books, const Recount& recount) {
    Explained explained;
    const auto differs = [&](std::string what) {
        explained.differs = std::move(what);
        return explained;
    };
    if (recount.records > books.polled) {
        return differs(number(books.polled) + " records were counted, reading it again shows " +
                       number(recount.records));
    }
    if (!recount.compacted && recount.records < books.polled) {
        return differs(number(books.polled) + " records were counted, reading it again shows only " +
                       number(recount.records) + ", and the topic is not compacted");
    }
    if (!recount.compacted && recount.bytes != books.bytes) {
        return differs("the " + number(books.polled) + " records had " + number(books.bytes) +
                       " bytes, reading them again shows " + number(recount.bytes));
    }
    explained.compacted_since = books.polled - recount.records;
    const std::uint64_t hidden =
        recount.uncommitted > recount.records ? recount.uncommitted - recount.records : 0;
    if (hidden > books.gaps) {
        return differs(number(books.gaps) + " gaps were counted, but " + number(hidden) +
                       " records of aborted transactions are there");
    }
    explained.aborted = hidden;
    (recount.compacted ? explained.compacted_or_control : explained.control) = books.gaps - hidden;
    return explained;
}

}  // namespace sluice::operations
