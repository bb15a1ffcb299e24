#include "checkpoints/memory_backend.hpp"

#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace sluice::checkpoints {
namespace {

class MemoryBackend final : public Backend {
 public:
    Result<std::optional<std::string>> get(Family family, std::string_view key) const override {
        const std::shared_lock lock(mutex_);
        const Entries& entries = in(family);
        const auto found = entries.find(key);
        if (found == entries.end()) return std::optional<std::string>{};
        return std::optional<std::string>{found->second};
    }

    Result<void> scan(Family family, std::string_view prefix, std::string_view first, Order order,
                      const Visit& visit) const override {
        SLUICE_ASSERT(first.empty() || first.starts_with(prefix));
        const std::shared_lock lock(mutex_);
        const Entries& entries = in(family);
        auto begin = entries.lower_bound(prefix);
        auto end = prefix.empty() ? entries.end() : entries.lower_bound(end_of_prefix(prefix));
        if (!first.empty() && order == Order::ascending) {
            begin = entries.lower_bound(first);
        }
        if (!first.empty() && order == Order::descending) {
            const auto above = entries.upper_bound(first);
            if (above != entries.end() && (end == entries.end() || above->first < end->first)) {
                end = above;
            }
        }
        while (begin != end) {
            const auto at = order == Order::ascending ? begin++ : --end;
            SLUICE_TRY(const Step step, visit(at->first, at->second));
            if (step == Step::stop) break;
        }
        return {};
    }

    Result<void> write(const Batch& batch) override {
        const std::unique_lock lock(mutex_);
        for (const Batch::Change& change : batch.changes) {
            Entries& entries = families_[static_cast<std::size_t>(change.family)];
            switch (change.kind) {
                case Batch::Change::Kind::put: entries[change.key] = change.value; break;
                case Batch::Change::Kind::erase: entries.erase(change.key); break;
                case Batch::Change::Kind::erase_prefix:
                    entries.erase(entries.lower_bound(change.key),
                                  entries.lower_bound(end_of_prefix(change.key)));
                    break;
            }
        }
        return {};
    }

    std::string way_back() const override { return "the store is in memory: restart the process"; }

 private:
    using Entries = std::map<std::string, std::string, std::less<>>;

    const Entries& in(Family family) const { return families_[static_cast<std::size_t>(family)]; }

    mutable std::shared_mutex mutex_;
    std::array<Entries, std::size(all_families)> families_;
};

}  // namespace

std::unique_ptr<Backend> make_memory_backend() { return std::make_unique<MemoryBackend>(); }

}  // namespace sluice::checkpoints
