#pragma once
// What the rules stand on: an ordered key-value store with families and atomic batches. Two of them
// exist, RocksDB and memory; everything a Store promises beyond bytes is in keyed_store.cpp, once.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace sluice::checkpoints {

/// The column families. Their names on disk are those of `name_of`.
enum class Family : std::uint8_t { meta, plans, commits, positions, losses, control };
inline constexpr Family all_families[] = {Family::meta,      Family::plans,  Family::commits,
                                          Family::positions, Family::losses, Family::control};
std::string_view name_of(Family family) noexcept;

/// Changes that happen together or not at all, in this order.
struct Batch {
    struct Change {
        enum class Kind { put, erase, erase_prefix };
        Kind kind;
        Family family;
        std::string key;
        std::string value;
    };
    std::vector<Change> changes;

    void put(Family family, std::string key, std::string value);
    void erase(Family family, std::string key);
    /// Every key that begins with `prefix`, which must not be empty or all 0xFF.
    void erase_prefix(Family family, std::string prefix);
};

enum class Order { ascending, descending };
enum class Step { next, stop };

/// Safe for concurrent calls. Errors: `storage`, naming what is wrong and what to do.
class Backend {
 public:
    /// Called for each entry of a scan; both views are valid during the call only. Must not call the
    /// backend: a scan holds what keeps it open.
    using Visit = std::function<Result<Step>(std::string_view key, std::string_view value)>;

    virtual ~Backend() = default;

    [[nodiscard]] virtual Result<std::optional<std::string>> get(Family family,
                                                                 std::string_view key) const = 0;

    /// The entries that begin with `prefix`, in byte order of their keys or against it, as they were
    /// when the scan began. `first` (a whole key, itself included) is where it begins; empty: at the
    /// end of the prefix's range it comes to first.
    virtual Result<void> scan(Family family, std::string_view prefix, std::string_view first,
                              Order order, const Visit& visit) const = 0;

    /// Atomic, and durable when it returns.
    virtual Result<void> write(const Batch& batch) = 0;

    /// What a person does when an entry can't be read; ends the messages of such errors.
    [[nodiscard]] virtual std::string way_back() const = 0;
};

/// "plans/000000010000000000000007": what errors call an entry.
std::string describe_key(Family family, std::string_view key);

/// The `storage` error of an entry that is there and makes no sense.
Error unreadable(const Backend& backend, Family family, std::string_view key,
                 std::string_view why);

/// The smallest string above every string that begins with `prefix`.
std::string end_of_prefix(std::string_view prefix);

}  // namespace sluice::checkpoints
