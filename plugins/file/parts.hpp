#pragma once
// mode: parts. Files that never change once they are visible, one or more per range.

#include <set>
#include <string>

#include "plugins/file/output.hpp"
#include "plugins/file/target.hpp"

namespace sluice::plugins::file {

/// The pieces wait in `.batch-<n>/`, synced. A commit writes the manifest, which names them all, and
/// then renames them; whoever finds the manifest finishes the renames.
class Parts final : public Target {
 public:
    /// `output` outlives this.
    Parts(Output& output, const std::optional<Receipt>& receipt);

    [[nodiscard]] Receipt receipt() const override { return receipt_; }
    void discard(std::uint64_t batch) override { output_.drop_staging(batch); }
    void finish(const Manifest& manifest) override;
    void commit(std::uint64_t batch, const std::string& plan,
                std::vector<PieceInfo> pieces) override;
    void abort(std::uint64_t batch) override { output_.drop_staging(batch); }

 private:
    Directory partition_of(const PieceInfo& piece);

    Output& output_;
    Receipt receipt_;
    std::set<std::string> durable_topics_;  // directories that this process has synced once
};

}  // namespace sluice::plugins::file
