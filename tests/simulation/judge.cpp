#include "tests/simulation/judge.hpp"

#include <algorithm>

namespace sluice::simulation {
namespace {

LogName name_of(const plan::PlannedRange& planned) {
    return {planned.range.topic_partition, planned.topic_id};
}
LogName name_of(const plan::Loss& loss) { return {loss.topic_partition, loss.topic_id}; }

std::string text(const plan::OffsetRange& range) {
    return plan::to_string(range.topic_partition) + " [" + std::to_string(range.from) + ", " +
           std::to_string(range.until) + ")";
}

bool leaves_its_log(plan::LossKind kind) {
    return kind == plan::LossKind::topic_gone || kind == plan::LossKind::partition_gone ||
           kind == plan::LossKind::topic_recreated;
}

}  // namespace

const Log& Judge::log_of(const LogName& name) const {
    const Log* const log = broker_.find(name);
    if (log == nullptr) world_.violate("no such log: " + to_string(name));
    return *log;
}

Judge::Fate& Judge::fate(const LogName& name, std::int64_t offset) {
    auto& fates = fates_[name];
    const auto index = static_cast<std::size_t>(offset);
    if (fates.size() <= index) fates.resize(index + 1, Fate::open);
    return fates[index];
}

/// No offset twice, and none passed over: what is settled was open.
void Judge::settle(const LogName& name, std::int64_t from, std::int64_t until, Fate settled) {
    for (std::int64_t offset = from; offset < until; ++offset) {
        Fate& now = fate(name, offset);
        if (now != Fate::open) {
            world_.violate(to_string(name) + "@" + std::to_string(offset) + " is settled twice");
        }
        now = settled;
    }
}

void Judge::promise(const LogName& name, std::int64_t from) { promised_from_.try_emplace(name, from); }

bool Judge::in_ledger(const LogName& name, std::int64_t offset) const {
    return std::any_of(ledger_.begin(), ledger_.end(), [&](const plan::Loss& loss) {
        return name_of(loss) == name && loss.from <= offset && offset < loss.until;
    });
}

/// A loss is real: nobody can read these offsets any more.
void Judge::check_loss(const plan::Loss& loss) const {
    const Log& log = log_of(name_of(loss));
    const bool gone = leaves_its_log(loss.kind)
                          ? !log.exists
                          : loss.kind != plan::LossKind::went_back &&
                                (loss.until <= log.earliest || !log.exists);
    if (!gone) world_.violate("a loss that is none: " + plan::describe(loss));
}

void Judge::record(const std::vector<checkpoints::LossEntry>& losses, bool accepted) {
    for (const auto& entry : losses) {
        check_loss(entry.loss);
        if (accepted) ledger_.push_back(entry.loss);
    }
}

// ---- writes ----------------------------------------------------------------------------------------

void Judge::initial(const std::map<TopicPartition, plan::Position>& positions) {
    if (begun_) world_.violate("initial positions a second time");
    begun_ = true;
    positions_ = positions;
    for (const auto& [tp, position] : positions) promise({tp, position.topic_id}, position.offset);
}

void Judge::initial_receipt(const checkpoints::Receipt& receipt) {
    if (next_batch_ > 0) world_.violate("the initial receipt is stored after a plan");
    target_.recorded = receipt.bytes;
}

void Judge::check_cap(const checkpoints::Plan& plan) const {
    std::uint64_t size = 0;
    for (const auto& planned : plan.ranges) size += plan::size_of(planned.range);
    const auto* const limit = std::get_if<std::int64_t>(&config_.source.max_offsets_per_trigger);
    if (limit == nullptr || config_.trigger.kind == config::TriggerKind::once) return;
    if (size > static_cast<std::uint64_t>(*limit)) {
        world_.violate("a batch of " + std::to_string(size) + " offsets, above maxOffsetsPerTrigger " +
                       std::to_string(*limit));
    }
    if (config_.trigger.kind != config::TriggerKind::processing_time) return;
    std::uint64_t backlog = 0;
    for (const auto& fact : broker_.answered) {
        const auto position = positions_.find(fact.topic_partition);
        const std::int64_t from =
            position == positions_.end() ? fact.earliest : position->second.offset;
        backlog += plan::size_of({fact.topic_partition, from, fact.latest});
    }
    if (size != std::min(backlog, static_cast<std::uint64_t>(*limit))) {
        world_.violate("a batch of " + std::to_string(size) + " offsets of " + std::to_string(backlog) +
                       ", with maxOffsetsPerTrigger " + std::to_string(*limit));
    }
}

void Judge::planned(const checkpoints::Plan& plan) {
    if (unfinished_) world_.violate("a plan while another one is unfinished");
    if (plan.batch_id != next_batch_) {
        world_.violate("batch id " + std::to_string(plan.batch_id) + ", not " + std::to_string(next_batch_));
    }
    if (plan.ranges.empty()) world_.violate("a plan of nothing");
    check_cap(plan);
    std::map<TopicPartition, std::int64_t> next;
    for (const auto& planned : plan.ranges) {
        const TopicPartition& tp = planned.range.topic_partition;
        const Log& log = log_of(name_of(planned));
        if (planned.range.from >= planned.range.until || planned.range.until > log.latest()) {
            world_.violate("an impossible range: " + text(planned.range));
        }
        const auto position = positions_.find(tp);
        if (const auto before = next.find(tp); before != next.end()) {
            if (before->second != planned.range.from) world_.violate("a hole in a plan at " + text(planned.range));
        } else if (position != positions_.end()) {
            if (position->second.offset != planned.range.from ||
                position->second.topic_id != planned.topic_id) {
                world_.violate(text(planned.range) + " does not begin at the position, " +
                               std::to_string(position->second.offset));
            }
        } else {
            promise(name_of(planned), planned.range.from);
            const auto fact = std::find_if(broker_.answered.begin(), broker_.answered.end(),
                                           [&](const auto& f) { return f.topic_partition == tp; });
            if (fact == broker_.answered.end() || fact->earliest != planned.range.from) {
                world_.violate("a new partition does not begin at its earliest: " + text(planned.range));
            }
        }
        next[tp] = planned.range.until;
    }
    ++next_batch_;
    unfinished_ = plan;
}

/// The books of a range against the log.
void Judge::count_range(const plan::PlannedRange& planned, const checkpoints::RangeBooks& books) const {
    const Log& log = log_of(name_of(planned));
    const std::int64_t start = planned.range.from + static_cast<std::int64_t>(books.lost);
    std::uint64_t records = 0;
    std::uint64_t refused = 0;
    std::uint64_t gaps = 0;
    for (std::int64_t offset = start; offset < planned.range.until; ++offset) {
        const Value value = log.values[static_cast<std::size_t>(offset)];
        ++(value == 0 ? gaps : records);
        if (value != 0 && is_refused(manner_, value)) ++refused;
    }
    if (start > planned.range.until || books.polled != records || books.gaps != gaps ||
        books.accepted + books.filtered + books.dead_lettered != records || books.dead_lettered != refused) {
        world_.violate("the books of " + text(planned.range) + " are wrong: " +
                       std::to_string(books.polled) + " polled, " + std::to_string(books.gaps) +
                       " gaps, " + std::to_string(books.lost) + " lost; it has " +
                       std::to_string(records) + " records, " + std::to_string(refused) +
                       " of them refused, and " + std::to_string(gaps) + " gaps");
    }
}

/// What the batch says it delivered is in the sink, and the rest is in the ledger.
void Judge::deliver(const checkpoints::Plan& plan, const checkpoints::Commit& commit,
                    const std::vector<checkpoints::LossEntry>& losses) {
    const bool recovered = commit.state == checkpoints::BatchState::recovered;
    if (!recovered && commit.books.size() != plan.ranges.size()) world_.violate("books are missing");
    const auto batch = target_.committed.find(plan.batch_id);
    if (recovered && batch == target_.committed.end()) {
        world_.violate("a batch is recovered that the sink does not have");
    }
    std::set<Value> delivered;
    for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
        const plan::PlannedRange& planned = plan.ranges[i];
        const LogName name = name_of(planned);
        const Log& log = log_of(name);
        std::int64_t start = planned.range.from;
        if (!recovered) {
            count_range(planned, commit.books[i]);
            start += static_cast<std::int64_t>(commit.books[i].lost);
            std::int64_t lost_until = planned.range.from;  // by one entry for all ranges of a partition
            for (const auto& entry : losses) {
                if (name_of(entry.loss) == name) lost_until = std::max(lost_until, entry.loss.until);
            }
            if (start != std::min(lost_until, planned.range.until)) {
                world_.violate("offsets of " + text(planned.range) + " are lost up to " + std::to_string(start) +
                               ", by the ledger up to " + std::to_string(lost_until));
            }
            tally_.lost += commit.books[i].lost;
        }
        settle(name, planned.range.from, start, Fate::lost);
        for (std::int64_t offset = start; offset < planned.range.until; ++offset) {
            const Value value = log.values[static_cast<std::size_t>(offset)];
            if (value == 0) {
                // Of a recovered batch nobody knows whether an expired offset had a record.
                const bool lost = recovered && in_ledger(name, offset);
                settle(name, offset, offset + 1, lost ? Fate::lost : Fate::done);
                continue;
            }
            if (is_refused(manner_, value)) {
                // One that was lost before the sink had the rest of the batch needs no letter.
                const bool lost = recovered && in_ledger(name, offset);
                if (!lost && !target_.letters.contains(value)) {
                    world_.violate("refused, and in no dead letter: " + to_string(name) + "@" +
                                   std::to_string(offset));
                }
                settle(name, offset, offset + 1, lost ? Fate::lost : Fate::done);
                ++tally_.refused;
                continue;
            }
            if (recovered && !batch->second.values.contains(value)) {
                if (!in_ledger(name, offset)) {
                    world_.violate(to_string(name) + "@" + std::to_string(offset) +
                                   " was lost in a recovered batch, and is not in the ledger");
                }
                settle(name, offset, offset + 1, Fate::lost);
                continue;
            }
            settle(name, offset, offset + 1, Fate::done);
            delivered.insert(value);
            ++deliveries_[value];
            const auto shown = target_.visible.find(value);
            if (shown == target_.visible.end() || shown->second < 1) {
                world_.violate("the checkpoint is ahead of the sink: " + to_string(name) + "@" +
                               std::to_string(offset) + " is not there");
            }
            if (manner_.guarantee == sink::Guarantee::exactly_once &&
                shown->second != deliveries_[value]) {
                world_.violate("delivered twice: " + to_string(name) + "@" + std::to_string(offset));
            }
        }
    }
    for (const auto& entry : losses) {
        const auto first = std::find_if(plan.ranges.begin(), plan.ranges.end(), [&](const auto& planned) {
            return name_of(planned) == name_of(entry.loss);
        });
        if (first == plan.ranges.end() || first->range.from != entry.loss.from ||
            entry.loss.until <= entry.loss.from || entry.loss.kind != plan::LossKind::expired) {
            world_.violate("a loss in the ledger that no range had: " + plan::describe(entry.loss));
        }
    }
    if (batch != target_.committed.end() && batch->second.values != delivered) {
        world_.violate("the sink's batch is not the checkpoint's");
    }
    tally_.records += delivered.size();
    tally_.recovered += recovered ? 1 : 0;
}

void Judge::committed(const checkpoints::Commit& commit,
                      const std::map<TopicPartition, plan::Position>& positions,
                      const std::optional<checkpoints::Receipt>& receipt,
                      const std::vector<checkpoints::LossEntry>& losses) {
    if (!unfinished_ || unfinished_->batch_id != commit.batch_id) world_.violate("a commit without its plan");
    const checkpoints::Plan plan = *std::move(unfinished_);
    unfinished_.reset();
    record(losses, true);
    deliver(plan, commit, losses);

    std::map<TopicPartition, std::pair<std::int64_t, std::string>> ends;
    for (const auto& planned : plan.ranges) {
        ends[planned.range.topic_partition] = {planned.range.until, planned.topic_id};
    }
    // A head that expired may reach beyond the plan: reading goes on after it.
    for (const auto& entry : losses) {
        std::int64_t& end = ends.at(entry.loss.topic_partition).first;
        if (entry.loss.until <= end) continue;
        settle(name_of(entry.loss), end, entry.loss.until, Fate::lost);
        end = entry.loss.until;
    }
    if (ends.size() != positions.size()) world_.violate("positions of other partitions than the plan's");
    for (const auto& [tp, position] : positions) {
        const auto end = ends.find(tp);
        if (end == ends.end() || end->second != std::pair(position.offset, position.topic_id)) {
            world_.violate("the position of " + plan::to_string(tp) + " is " +
                           std::to_string(position.offset) + ", not " +
                           std::to_string(end == ends.end() ? -1 : end->second.first) + ", where its last range ends");
        }
        if (position.last_advanced != static_cast<std::int64_t>(plan.batch_id)) {
            world_.violate("a position that another batch advanced");
        }
        positions_[tp] = position;
    }
    const auto answered = target_.receipts.find(plan.batch_id);
    if (answered == target_.receipts.end() || !receipt || receipt->bytes != answered->second) {
        world_.violate("the receipt stored is not the one the sink gave for batch " +
                       std::to_string(plan.batch_id));
    }
    target_.recorded = receipt->bytes;
    ++tally_.batches;
}

void Judge::noted(const std::vector<checkpoints::LossEntry>& losses) {
    const bool accepted = std::any_of(losses.begin(), losses.end(), [](const auto& e) { return e.accepted; });
    if (accepted && config_.source.fail_on_data_loss) world_.violate("a loss is accepted by nobody");
    record(losses, accepted);
}

/// The plan can't be run as written: a loss of its partitions is among those accepted. Or a person wants it.
void Judge::give_up(const checkpoints::Store::Move& move) {
    if (!unfinished_) world_.violate("a plan is given up that is not there");
    const bool is_lossy = std::any_of(move.accept.begin(), move.accept.end(), [&](const auto& entry) {
        return std::any_of(unfinished_->ranges.begin(), unfinished_->ranges.end(), [&](const auto& planned) {
            return planned.range.topic_partition == entry.loss.topic_partition;
        });
    });
    const bool is_asked_for = move.audit.action == "batches replan";
    if (!is_lossy && !is_asked_for) world_.violate("a plan is given up that lost nothing");
    if (const auto batch = target_.committed.find(unfinished_->batch_id); batch != target_.committed.end()) {
        world_.violate("a plan is given up that the sink has");
    }
}

/// A log is gone, with all that was promised of it and not read.
void Judge::leave(const plan::Loss& loss) {
    const LogName name = name_of(loss);
    settle(name, loss.from, loss.until, Fate::lost);
    given_up_at_[name] = loss.until;
}

void Judge::moved(const checkpoints::Store::Move& move) {
    record(move.accept, true);
    std::map<TopicPartition, std::int64_t> plan_begins;
    if (move.abandons) {
        give_up(move);
        for (const auto& planned : unfinished_->ranges) {
            plan_begins.try_emplace(planned.range.topic_partition, planned.range.from);
        }
        unfinished_.reset();
    }
    ++tally_.moves;
    // Of several entries of one partition, the one that says where reading goes on.
    const auto loss_of = [&](const TopicPartition& tp, std::int64_t from, bool leaves) -> const plan::Loss* {
        const plan::Loss* widest = nullptr;
        for (const auto& entry : move.accept) {
            if (entry.loss.topic_partition != tp || entry.loss.from != from) continue;
            if (leaves_its_log(entry.loss.kind) != leaves) continue;
            if (widest == nullptr || entry.loss.until >= widest->until) widest = &entry.loss;
        }
        return widest;
    };
    for (const auto& [tp, position] : move.positions) {
        const auto old = positions_.find(tp);
        // A partition without a position has been promised from 0, or from where its plan began.
        std::int64_t from = old == positions_.end() ? 0 : old->second.offset;
        bool leaves = old != positions_.end() && old->second.topic_id != position.topic_id;
        const plan::Loss* loss = loss_of(tp, from, leaves);
        if (const auto begin = plan_begins.find(tp);
            loss == nullptr && old == positions_.end() && begin != plan_begins.end()) {
            from = begin->second;
            loss = loss_of(tp, from, false);
            if (loss == nullptr) leaves = (loss = loss_of(tp, from, true)) != nullptr;
        }
        if (loss == nullptr && old == positions_.end()) {
            const auto begin = plan_begins.find(tp);
            if (begin != plan_begins.end() && begin->second == position.offset &&
                promised_from_.contains({tp, position.topic_id})) {
                positions_[tp] = position;  // the plan is gone, what it promised is not
                continue;
            }
        }
        if (loss == nullptr) world_.violate("the position of " + plan::to_string(tp) + " moves without a loss");
        std::int64_t goes_on_at = loss->adjusted_start;
        if (leaves) {  // it may have come back since the loss was noted
            const auto fact = std::find_if(broker_.answered.begin(), broker_.answered.end(),
                                           [&](const auto& f) { return f.topic_partition == tp; });
            goes_on_at = fact == broker_.answered.end() ? -1 : fact->earliest;
        }
        if (position.offset != goes_on_at) {
            world_.violate("the position of " + plan::to_string(tp) + " moves to " +
                           std::to_string(position.offset) + ", not to where the loss ends");
        }
        const LogName lost_name = name_of(*loss);
        if (old == positions_.end()) promise(lost_name, from);
        if (leaves) {
            leave(*loss);
        } else {
            settle(lost_name, loss->from, loss->until, Fate::lost);
        }
        tally_.lost += plan::records_lost(*loss);
        promise({tp, position.topic_id}, position.offset);
        positions_[tp] = position;
    }
    for (const TopicPartition& tp : move.forget) {
        const auto old = positions_.find(tp);
        const auto begin = plan_begins.find(tp);
        if (old == positions_.end() && begin == plan_begins.end()) continue;
        const plan::Loss* const loss =
            loss_of(tp, old == positions_.end() ? begin->second : old->second.offset, true);
        if (loss == nullptr) {
            world_.violate("a position is forgotten of what is still there: " + plan::to_string(tp));
        }
        leave(*loss);
        tally_.lost += plan::records_lost(*loss);
        if (old != positions_.end()) positions_.erase(old);
    }
}

// ---- looks -----------------------------------------------------------------------------------------

void Judge::compare(const checkpoints::PipelineState& state) const {
    if (state.positions != positions_) world_.violate("positions on disk are not those written");
    if (state.next_batch_id != next_batch_) world_.violate("the next batch id on disk is not the one written");
    if (state.unfinished != unfinished_) world_.violate("the unfinished plan on disk is not the one written");
    const auto receipt = state.receipt ? std::optional(state.receipt->bytes) : std::nullopt;
    if (receipt != target_.recorded) world_.violate("the receipt on disk is not the one written");
}

bool Judge::caught_up() const {
    if (!begun_ || unfinished_) return false;
    for (const auto& fact : broker_.facts()) {
        const auto position = positions_.find(fact.topic_partition);
        if (position == positions_.end()) {
            if (fact.earliest < fact.latest) return false;
        } else if (position->second.topic_id != fact.topic_id || position->second.offset != fact.latest) {
            return false;
        }
    }
    return true;
}

void Judge::conclude(const std::vector<checkpoints::LossEntry>& ledger) const {
    for (const auto& [name, from] : promised_from_) {
        const auto position = positions_.find(name.topic_partition);
        const auto gone = given_up_at_.find(name);
        std::int64_t end = from;
        if (gone != given_up_at_.end()) {
            end = gone->second;
        } else if (position != positions_.end() && position->second.topic_id == name.topic_id) {
            end = position->second.offset;
        }
        const auto fates = fates_.find(name);
        for (std::int64_t offset = from; offset < end; ++offset) {
            const auto index = static_cast<std::size_t>(offset);
            const Fate fate = fates != fates_.end() && index < fates->second.size() ? fates->second[index]
                                                                                   : Fate::open;
            const std::string where = to_string(name) + "@" + std::to_string(offset);
            if (fate == Fate::open) world_.violate("passed over: " + where);
            if ((fate == Fate::lost) != in_ledger(name, offset)) {
                world_.violate("the ledger is wrong about " + where);
            }
        }
    }
    for (const auto& [value, count] : target_.visible) {
        if (is_refused(manner_, value)) world_.violate("a refused record is in the sink");
        const auto delivered = deliveries_.find(value);
        const int deliveries = delivered == deliveries_.end() ? 0 : delivered->second;
        if (manner_.guarantee == sink::Guarantee::exactly_once && count != deliveries) {
            const Place& place = *broker_.place_of(value);
            world_.violate(to_string(place.log) + "@" + std::to_string(place.offset) + " is " +
                           std::to_string(count) + " times in the sink, committed " +
                           std::to_string(deliveries) + " times");
        }
    }
    for (const plan::Loss& loss : ledger_) {
        const bool found = std::any_of(ledger.begin(), ledger.end(), [&](const auto& entry) {
            return entry.accepted && name_of(entry.loss) == name_of(loss) && entry.loss.from == loss.from &&
                   entry.loss.until == loss.until;
        });
        if (!found) world_.violate("not in the ledger: " + plan::describe(loss));
    }
}

}  // namespace sluice::simulation
