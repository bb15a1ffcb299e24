#pragma once
// What the two modes do differently with the pieces of a batch.

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/file/state.hpp"

namespace sluice::plugins::file {

/// Confined to the [pipeline] thread. Everything throws as errors.hpp says.
class Target {
 public:
    virtual ~Target() = default;
    /// Of the last committed batch; at first that of an empty output.
    [[nodiscard]] virtual Receipt receipt() const = 0;
    /// No manifest is there: removes what an earlier attempt at `batch` left.
    virtual void discard(std::uint64_t batch) = 0;
    /// Its manifest is there: makes visible what is not yet.
    virtual void finish(const Manifest& manifest) = 0;
    /// `pieces` are complete, in plan order. In doubt when it throws.
    virtual void commit(std::uint64_t batch, const std::string& plan,
                        std::vector<PieceInfo> pieces) = 0;
    /// No manifest is there: removes what this process wrote of `batch`.
    virtual void abort(std::uint64_t batch) = 0;
};

}  // namespace sluice::plugins::file
