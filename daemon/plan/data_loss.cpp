#include "daemon/plan/data_loss.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "daemon/base/assert.hpp"

namespace sluice::plan {
namespace {

using Positions = std::map<TopicPartition, Position>;
using Recorded = Positions::value_type;

constexpr std::array<std::pair<LossKind, std::string_view>, 7> kind_names{{
    {LossKind::expired, "expired"},
    {LossKind::went_back, "went_back"},
    {LossKind::truncated, "truncated"},
    {LossKind::partition_gone, "partition_gone"},
    {LossKind::topic_gone, "topic_gone"},
    {LossKind::topic_recreated, "topic_recreated"},
    {LossKind::new_starts_late, "new_starts_late"},
}};

bool has_position_in(const Positions& positions, const std::string& topic) {
    const auto first = positions.lower_bound({topic, std::numeric_limits<std::int32_t>::min()});
    return first != positions.end() && first->first.topic == topic;
}

/// An id that is unknown on either side never counts as changed.
bool is_same_topic(const Position& position, const PartitionFacts& facts) {
    return position.topic_id.empty() || facts.topic_id.empty() || position.topic_id == facts.topic_id;
}

bool is_askable(const Position* position, const PartitionFacts& facts) {
    return position != nullptr && position->leader_epoch >= 0 && is_same_topic(*position, facts);
}

Loss gone(const Recorded& recorded, std::span<const PartitionFacts> facts) {
    const auto& [topic_partition, position] = recorded;
    const bool topic_is_there = has_topic(facts, topic_partition.topic);
    return {.topic_partition = topic_partition,
            .kind = topic_is_there ? LossKind::partition_gone : LossKind::topic_gone,
            .topic_id = position.topic_id,
            .from = position.offset,
            .until = position.offset,
            .adjusted_start = -1};
}

/// A partition with a position: goes on there, or where the loss ends.
void go_on(const Recorded& recorded, const PartitionFacts& facts, LossDecision& decision) {
    const auto& [topic_partition, position] = recorded;
    Loss loss{.topic_partition = topic_partition,
              .topic_id = position.topic_id,
              .from = position.offset,
              .until = position.offset,
              .adjusted_start = position.offset};
    bool lost = true;
    if (!is_same_topic(position, facts)) {
        loss.kind = LossKind::topic_recreated;
        loss.adjusted_start = facts.earliest;
    } else if (position.offset < facts.earliest) {
        loss.kind = LossKind::expired;
        loss.until = facts.earliest;
        loss.adjusted_start = facts.earliest;
    } else if (facts.truncated_at && *facts.truncated_at < position.offset) {
        loss.kind = LossKind::truncated;
        loss.adjusted_start = std::max(*facts.truncated_at, facts.earliest);
    } else if (facts.latest < position.offset) {
        loss.kind = LossKind::went_back;
        loss.adjusted_start = facts.latest;
    } else {
        lost = false;
    }

    StartAt start{.topic_partition = topic_partition, .position = position};
    start.position.offset = loss.adjusted_start;
    // An id that is not known today is still the recorded one: forgetting it would hide a change.
    if (!facts.topic_id.empty()) start.position.topic_id = facts.topic_id;
    // The recorded epoch belongs to the record before the position. Past a loss there is no such
    // record, and the old epoch would look like one more truncation to the broker.
    if (lost) start.position.leader_epoch = facts.leader_epoch;
    decision.starts.push_back(std::move(start));
    if (lost) decision.losses.push_back(std::move(loss));
}

/// A partition without a position: starts at earliest.
void begin(const PartitionFacts& facts, const Positions& positions, LossDecision& decision) {
    decision.starts.push_back({.topic_partition = facts.topic_partition,
                               .position = {.offset = facts.earliest,
                                            .leader_epoch = facts.leader_epoch,
                                            .topic_id = facts.topic_id},
                               .is_new = true});
    if (facts.earliest <= 0 || !has_position_in(positions, facts.topic_partition.topic)) return;
    decision.losses.push_back({.topic_partition = facts.topic_partition,
                               .kind = LossKind::new_starts_late,
                               .topic_id = facts.topic_id,
                               .from = 0,
                               .until = facts.earliest,
                               .adjusted_start = facts.earliest});
}

/// "offsets [812, 900) are gone, 88 records".
std::string counted(const Loss& loss) {
    const std::uint64_t count = records_lost(loss);
    return "offsets [" + std::to_string(loss.from) + ", " + std::to_string(loss.until) +
           ") are gone, " + std::to_string(count) + (count == 1 ? " record" : " records");
}

}  // namespace

bool has_topic(std::span<const PartitionFacts> facts, const std::string& topic) {
    const auto first = std::lower_bound(
        facts.begin(), facts.end(), topic,
        [](const PartitionFacts& f, const std::string& t) { return f.topic_partition.topic < t; });
    return first != facts.end() && first->topic_partition.topic == topic;
}

std::string_view name_of(LossKind kind) noexcept {
    for (const auto& [known, name] : kind_names) {
        if (known == kind) return name;
    }
    return "unknown";
}

bool parse_loss_kind(std::string_view name, LossKind& kind) noexcept {
    for (const auto& [known, known_name] : kind_names) {
        if (known_name != name) continue;
        kind = known;
        return true;
    }
    return false;
}

std::uint64_t records_lost(const Loss& loss) noexcept {
    if (loss.until <= loss.from) return 0;
    return static_cast<std::uint64_t>(loss.until) - static_cast<std::uint64_t>(loss.from);
}

std::string describe(const Loss& loss) {
    const std::string& topic = loss.topic_partition.topic;
    const std::string position = std::to_string(loss.from);
    const std::string start = std::to_string(loss.adjusted_start);
    std::string text = to_string(loss.topic_partition) + ": ";
    // An extent is known where a plan had been made of it.
    const bool known = loss.until > loss.from;
    std::string unread = "; what it held from offset " + position + " on can't be read";
    if (known) unread += "; " + counted(loss) + " at least";
    switch (loss.kind) {
        case LossKind::expired:
            return text + counted(loss) + ": position " + position +
                   " is below the earliest offset " + start +
                   " (retention, or records were deleted)";
        case LossKind::went_back:
            if (known) text += counted(loss) + ": ";
            return text + "the end offset " + start + " is below " +
                   (known ? "what was planned, up to offset " + std::to_string(loss.until)
                          : "position " + position) +
                   ": the log was truncated; reading can go on at " + start +
                   ", and what was written anew below it can't be told from what was read before";
        case LossKind::truncated:
            return text + "the log was truncated at offset " + start +
                   " (unclean leader election), below position " + position + unread +
                   "; reading can go on at " + start + ", with the records that were written anew";
        case LossKind::partition_gone:
            return text + "the partition does not exist any more, although topic " + topic +
                   " does" + unread;
        case LossKind::topic_gone:
            return text + "topic " + topic + " does not exist any more" + unread;
        case LossKind::topic_recreated:
            return text + "topic " + topic + " was deleted and created anew (its id was " +
                   loss.topic_id + ")" + unread + "; reading can go on at the new topic's offset " +
                   start;
        case LossKind::new_starts_late:
            return text + counted(loss) + ": the partition is new and starts at offset " + start +
                   " already (retention, or records were deleted, before its first trigger)";
    }
    return text + "unknown loss";
}

std::map<TopicPartition, Position> askable(const Positions& positions,
                                           std::span<const PartitionFacts> facts) {
    Positions answer;
    visit_recorded(positions, facts, [&](const PartitionFacts& fact, const Position* position) {
        if (is_askable(position, fact)) answer.emplace_hint(answer.end(), fact.topic_partition, *position);
    });
    return answer;
}

std::map<TopicPartition, Position> askable_beyond_the_end(const Positions& positions,
                                                          std::span<const PartitionFacts> facts) {
    Positions answer;
    visit_recorded(positions, facts, [&](const PartitionFacts& fact, const Position* position) {
        if (!is_askable(position, fact) || position->offset <= fact.latest) return;
        answer.emplace_hint(answer.end(), fact.topic_partition, *position);
    });
    return answer;
}

void note_truncations(std::span<PartitionFacts> facts,
                      const std::map<TopicPartition, std::int64_t>& truncations) {
    for (PartitionFacts& fact : facts) {
        const auto found = truncations.find(fact.topic_partition);
        if (found != truncations.end()) fact.truncated_at = found->second;
    }
}

std::int32_t epoch_before(std::int64_t end, std::int64_t last_offset, std::int32_t last_epoch,
                          std::int32_t current) noexcept {
    return last_offset == end - 1 || last_epoch == current ? last_epoch : -1;
}

LossDecision decide_losses(const Positions& positions, std::span<const PartitionFacts> facts) {
    LossDecision decision;
    decision.starts.reserve(facts.size());
    auto recorded = positions.begin();
    for (std::size_t i = 0; i < facts.size(); ++i) {
        const TopicPartition& present = facts[i].topic_partition;
        // Facts out of order would make partitions that are there look gone.
        if (i > 0) SLUICE_ASSERT(facts[i - 1].topic_partition < present);
        auto order = std::strong_ordering::greater;
        while (recorded != positions.end() && (order = recorded->first <=> present) < 0) {
            decision.losses.push_back(gone(*recorded++, facts));
        }
        if (recorded != positions.end() && order == 0) {
            go_on(*recorded++, facts[i], decision);
        } else {
            begin(facts[i], positions, decision);
        }
    }
    for (; recorded != positions.end(); ++recorded) {
        decision.losses.push_back(gone(*recorded, facts));
    }
    return decision;
}

}  // namespace sluice::plan
