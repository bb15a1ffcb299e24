#include "daemon/pipeline/refusals.hpp"

#include <utility>

namespace sluice::pipeline {
namespace {

constexpr std::size_t reason_bytes_max = 512;  ///< kept in the checkpoint; the log has the whole text

}  // namespace

void Refusals::reset(const std::vector<checkpoints::RefusedRecord>& known) {
    const std::lock_guard lock(mutex_);
    records_.clear();
    for (const auto& record : known) {
        records_[record.topic_partition].emplace(record.offset, record.reason);
    }
    count_ = known.size();
    has_new_ = false;
    batch_lost_ = false;
}

RefusedOffsets Refusals::known_in(const plan::OffsetRange& range) const {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(range.topic_partition);
    if (found == records_.end()) return {};
    return {found->second.lower_bound(range.from), found->second.lower_bound(range.until)};
}

Result<void> Refusals::add(const plan::TopicPartition& partition, std::int64_t offset,
                           const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (!records_[partition].emplace(offset, reason.substr(0, reason_bytes_max)).second) return {};
    has_new_ = true;
    if (++count_ <= refused_records_max) return {};
    return Error{ErrorCode::fatal,
                 "the sink refused more than " + std::to_string(refused_records_max) +
                     " records of one batch, the last one " + plan::to_string(partition) + "@" +
                     std::to_string(offset) + " (" + reason +
                     "): the sink or its configuration is wrong, not the records. Nothing of the "
                     "batch was committed; correct it, then `sluice restart PIPELINE`"};
}

void Refusals::lose_batch() {
    const std::lock_guard lock(mutex_);
    batch_lost_ = true;
}

bool Refusals::take_batch_lost() {
    const std::lock_guard lock(mutex_);
    return std::exchange(batch_lost_, false);
}

std::vector<checkpoints::RefusedRecord> Refusals::unstored() const {
    const std::lock_guard lock(mutex_);
    std::vector<checkpoints::RefusedRecord> all;
    if (!has_new_) return all;
    all.reserve(count_);
    for (const auto& [partition, offsets] : records_) {
        for (const auto& [offset, reason] : offsets) all.push_back({partition, offset, reason});
    }
    return all;
}

void Refusals::stored() {
    const std::lock_guard lock(mutex_);
    has_new_ = false;
}

}  // namespace sluice::pipeline
