#include "daemon/sinktest/ledger.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"
#include "sluice/sink.h"

namespace sluice::sinktest {
namespace {

using Kind = Ledger::Kind;

std::string shown(const Bytes& bytes) {
    if (!bytes) return "null";
    constexpr std::size_t shown_bytes = 60;
    std::string text = json_quoted(bytes->substr(0, shown_bytes));
    if (bytes->size() > shown_bytes) text += "… (" + std::to_string(bytes->size()) + " bytes)";
    return text;
}

std::string shown(const std::vector<std::pair<std::string, Bytes>>& headers) {
    constexpr std::size_t shown_headers = 5;
    std::string text = "[";
    for (std::size_t i = 0; i < std::min(headers.size(), shown_headers); ++i) {
        text += (i == 0 ? "" : ", ") + json_quoted(headers[i].first) + ": " + shown(headers[i].second);
    }
    if (headers.size() > shown_headers) text += ", … (" + std::to_string(headers.size()) + ")";
    return text + "]";
}

std::string shown(std::optional<std::int64_t> time) { return time ? std::to_string(*time) : "none"; }

/// Of one kind and one batch: how many, and the first.
struct Group {
    std::uint64_t count = 0;
    RecordId first;
    void add(const RecordId& id) {
        if (count++ == 0) first = id;
    }
};

Finding finding(Ledger::Kind kind, std::uint64_t batch, const Group& group, const std::string& moment) {
    const bool one = group.count == 1;
    const std::string records = format_count(static_cast<std::int64_t>(group.count)) +
                                (one ? " record" : " records") + " of batch " + std::to_string(batch);
    const std::string such_as = (one ? " (" : " (such as ") + to_string(group.first) + ")";
    const std::string are = one ? " is " : " are ";
    switch (kind) {
        case Kind::missing:
            return {Proof::nothing, moment + ": " + records + are + "not there" + such_as + ", though committed",
                    "commit() may answer OK only once all that its writers took is durable; with "
                    "SLUICE_REJECT_WHICH they take all that they do not name"};
        case Kind::early:
            return {Proof::idempotent, moment + ": " + records + are + "visible" + such_as + ", though not committed",
                    "an exactly-once sink shows a batch by its commit(), as one, and nothing of a batch that "
                    "was killed or aborted"};
        case Kind::twice:
            return {Proof::at_least_once, moment + ": " + records + are + "there more than once" + such_as,
                    "nothing may be left of an earlier attempt (begin() of the same id finds it: committed "
                    "whole, or removed), nor of a call that answered RETRY or SLUICE_REJECT_ALL"};
        case Kind::refused:
            return {Proof::nothing, moment + ": " + records + are + "visible" + such_as + ", though refused",
                    "a refused record goes to the dead letters: the sink must not keep it"};
        case Kind::unknown:
            return {Proof::nothing,
                    moment + ": " + format_count(static_cast<std::int64_t>(group.count)) +
                        (one ? " record" : " records") + are + "visible" + such_as + " that no batch had",
                    "a sink shows what it was given, under the topic, partition and offset it was given with"};
    }
    return {};
}

}  // namespace

void Ledger::plan(const sink::Batch& batch, Flavor flavor) {
    batches_[batch.id] = {BatchState::open, flavor, batch.ranges, {}};
    for (const sink::Range& range : batch.ranges) {
        topics_.insert(range.topic);
        for (std::int64_t offset = range.from; offset < range.until; ++offset) {
            const RecordId id{range.topic, range.partition, offset};
            if (is_gap(recipe_, id)) continue;
            Entry& entry = entries_[id];
            entry = {batch.id, false, false, false, entry.reported};
        }
    }
}

void Ledger::set(std::uint64_t batch, BatchState state) {
    BatchState& now = batches_.at(batch).state;
    now = std::max(now, state);
}

bool Ledger::refuse(std::uint64_t batch, const sink::Refused& refused) {
    Batch& of = batches_.at(batch);
    const sink::Range& range = of.ranges.at(refused.range_index);
    const auto entry = entries_.find({range.topic, range.partition, refused.offset});
    if (entry == entries_.end() || entry->second.refused) return false;
    entry->second.refused = true;
    of.refused.push_back(refused);
    return true;
}

std::vector<RecordId> Ledger::bad_ones_taken(std::uint64_t batch) const {
    std::vector<RecordId> taken;
    for (const auto& [id, entry] : entries_) {
        if (entry.batch == batch && !entry.refused && is_bad(recipe_, batches_.at(batch).flavor, id)) {
            taken.push_back(id);
        }
    }
    return taken;
}

std::vector<Finding> Ledger::compare(const std::vector<VisibleRecord>& visible,
                                     const std::string& moment) {
    std::map<std::pair<Kind, std::uint64_t>, Group> groups;
    std::vector<Finding> findings;
    std::map<RecordId, std::uint64_t> counts;
    for (const VisibleRecord& record : visible) {
        const auto entry = entries_.find(record.id);
        if (entry != entries_.end()) {
            ++counts[record.id];
            compare_content(entry->second, record, moment, findings);
        } else if (topics_.contains(record.id.topic)) {
            groups[{Kind::unknown, 0}].add(record.id);
        }
    }
    for (auto& [id, entry] : entries_) {
        const auto found = counts.find(id);
        const std::uint64_t count = found == counts.end() ? 0 : found->second;
        if (const auto kind = judge(entry, count)) groups[{*kind, entry.batch}].add(id);
    }
    for (const auto& [about, group] : groups) {
        findings.push_back(finding(about.first, about.second, group, moment));
    }
    return findings;
}

void Ledger::compare_content(Entry& entry, const VisibleRecord& record, const std::string& moment,
                             std::vector<Finding>& findings) const {
    if (entry.is_compared || (!record.key && !record.value && !record.headers && !record.timestamp_ms)) return;
    const Batch& batch = batches_.at(entry.batch);
    entry.is_compared = batch.state == BatchState::committed;
    const auto expected = record_at(recipe_, batch.flavor, record.id);
    const auto compare = [&](const char* what, const std::optional<Bytes>& seen, const Bytes& wanted) {
        if (!seen || *seen == wanted) return;
        findings.push_back({Proof::nothing,
                            moment + ": " + to_string(record.id) + " has the " + what + " " + shown(*seen) +
                                ", and was written with " + shown(wanted),
                            "keys and values are bytes with a length: NUL and what is no UTF-8 included, null "
                            "is not empty; what cannot be kept as it is, is refused. And none outlives the call: copy what "
                            "is kept"});
        entry.is_compared = true;
    };
    compare("key", record.key, expected->key);
    compare("value", record.value, expected->value);
    if (record.headers && *record.headers != expected->headers) {
        findings.push_back({Proof::nothing,
                            moment + ": " + to_string(record.id) + " has the headers " + shown(*record.headers) +
                                ", and was written with " + shown(expected->headers),
                            "headers are a list: names may come twice and be empty, values may be null; "
                            "host->headers() has them, in order"});
        entry.is_compared = true;
    }
    const auto time = expected->timestamp_type == SLUICE_TIMESTAMP_NONE
                          ? std::nullopt
                          : std::optional<std::int64_t>(expected->timestamp_ms);
    if (record.timestamp_ms && *record.timestamp_ms != time) {
        findings.push_back({Proof::nothing,
                            moment + ": " + to_string(record.id) + " has the timestamp " +
                                shown(*record.timestamp_ms) + ", and was written with " + shown(time),
                            "a timestamp is any 64-bit number of milliseconds, or none: timestamp_type says so"});
        entry.is_compared = true;
    }
}

std::optional<Ledger::Kind> Ledger::judge(Entry& entry, std::uint64_t count) const {
    const BatchState state = batches_.at(entry.batch).state;
    if (count == 0) {
        if (state != BatchState::committed || entry.refused || entry.is_missing) return std::nullopt;
        entry.is_missing = true;
        return Kind::missing;
    }
    const std::uint64_t allowed = state == BatchState::open || entry.refused ? 0 : 1;
    if (count <= std::max(allowed, entry.reported)) return std::nullopt;
    entry.reported = count;
    if (entry.refused) return Kind::refused;
    return count == 1 ? Kind::early : Kind::twice;
}

}  // namespace sluice::sinktest
