#pragma once
// mode: append. One file that grows by whole batches: `current.jsonl`, rolled at the end of a batch.

#include <string>

#include "plugins/file/output.hpp"
#include "plugins/file/target.hpp"

namespace sluice::plugins::file {

/// The ranges are written side by side, into memory or `.batch-<n>/`, and put together in plan order
/// by commit(): so the file is in plan order although the ranges are read in parallel, and nothing
/// uncommitted is in it but during commit(). The manifest, written once the bytes are durable, is the
/// atomic point; bytes behind the committed length without one are of a commit that was killed.
class Append final : public Target {
 public:
    /// Checks the file against the receipt and throws Fatal when they do not belong together.
    /// `output` and `options` outlive this.
    Append(Output& output, const Options& options, Host host, std::uint64_t next_batch,
           const std::optional<Receipt>& receipt);

    [[nodiscard]] Receipt receipt() const override { return receipt_; }
    /// Cuts the tail of an attempt at `batch`, after saving it as `.cut-<batch>`.
    void discard(std::uint64_t batch) override;
    void finish(const Manifest& manifest) override;
    void commit(std::uint64_t batch, const std::string& plan,
                std::vector<PieceInfo> pieces) override;
    void abort(std::uint64_t batch) override;

 private:
    void check(std::uint64_t next_batch);
    [[nodiscard]] std::string rolled_name(std::uint64_t last_batch) const;
    void cut(const Fd& fd, std::uint64_t batch, bool save);
    void roll(const std::string& name);
    [[nodiscard]] Fd open_current();
    void append(const Fd& fd, std::uint64_t batch, const std::vector<PieceInfo>& pieces);
    [[nodiscard]] std::uint32_t tail_crc(const Fd& fd, std::uint64_t length) const;

    Output& output_;
    const Options& options_;
    Host host_;
    std::string wanted_file_;  // current.jsonl, with the extension that the options ask for
    Receipt receipt_;          // the committed state of the output
};

}  // namespace sluice::plugins::file
