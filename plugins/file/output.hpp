#pragma once
// The sink's directory: its owner, its lock, its manifests, its staging directory. What both modes
// share.

#include <mutex>
#include <optional>
#include <string>

#include "plugins/file/directory.hpp"
#include "plugins/file/options.hpp"
#include "plugins/file/state.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::file {

/// Confined to the [pipeline] thread, but for staging(). Everything throws as errors.hpp says.
class Output {
 public:
    /// Opens or creates `options.path`, takes the lock, and refuses what is another's, what is newer
    /// than the checkpoint, and what is older than the receipt.
    Output(const Options& options, const Config& config, const std::optional<Receipt>& receipt);

    [[nodiscard]] const Directory& root() const noexcept { return root_; }
    [[nodiscard]] const Owner& owner() const noexcept { return owner_; }

    /// Fatal when `batch` with this plan cannot follow what the directory has already seen.
    void check_not_newer(std::uint64_t batch, const std::string& plan) const;
    /// Writes down, durably, that `batch` is about to become visible.
    void record_newest(std::uint64_t batch, const std::string& plan);

    /// A manifest that is found is durable.
    [[nodiscard]] std::optional<Manifest> find_manifest(std::uint64_t batch) const;
    /// The atomic point: durable when it returns.
    void write_manifest(const Manifest& manifest) const;
    /// Drops the manifest that is too old now that `batch` is committed.
    void prune_manifests(std::uint64_t batch) const;

    /// Where the pieces of `batch` are until they are committed; created when it is first asked for,
    /// and durable with the next record_newest().
    /// Safe for concurrent calls. Valid until drop_staging().
    [[nodiscard]] const Directory& staging(std::uint64_t batch);
    /// Nothing when there is none.
    void drop_staging(std::uint64_t batch);
    /// The same as found on disk, for finishing what an earlier process began.
    [[nodiscard]] std::optional<Directory> find_staging(std::uint64_t batch) const;

    /// The text of "the checkpoint is older than the output", with the remedy.
    [[nodiscard]] std::string older_checkpoint(const std::string& details) const;

 private:
    void check_owner(const Config& config, const std::optional<Receipt>& receipt);
    void drop_old_staging(std::uint64_t next_batch_id) const;

    const Options& options_;
    Directory root_;
    Owner owner_;
    std::mutex staging_mutex_;
    std::optional<Directory> staging_;  // of the batch begun
};

}  // namespace sluice::plugins::file
