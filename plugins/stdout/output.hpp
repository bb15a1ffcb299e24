#pragma once
// Standard output, as several pipelines of one process share it.

#include <cstddef>
#include <string>

#include "sluice/sink.hpp"

namespace sluice::plugins {

/// Whole lines that wait for standard output. One per sink, confined to its calls; flushes of
/// different sinks take turns, so that their lines never mix.
class Output {
 public:
    /// Throws std::runtime_error when the process has no standard output.
    Output();
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    /// Append whole lines here.
    [[nodiscard]] std::string& lines() noexcept { return lines_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return lines_.size(); }

    /// Writes all lines, and waits for a slow reader until `host` is stopping.
    /// Throws Retry (stopping, no space left) and keeps what is not written; throws
    /// std::runtime_error when the reader is gone or the output is broken.
    void flush(Host host);

    /// Forgets the lines that wait. A line that a failed flush() left half written ends there.
    void drop() noexcept;

 private:
    std::string lines_;
};

}  // namespace sluice::plugins
