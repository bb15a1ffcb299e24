#include "daemon/cli/progress.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"
#include "daemon/cli/table.hpp"

namespace sluice::cli {

void Progress::at(std::uint64_t done) {
    done_ = done;
    const SteadyTime now = clock_.steady();
    if (now < next_) return;
    next_ = now + std::chrono::seconds{2};
    // Gaps are not counted as they are passed, so that the last line may say less than 100 %.
    const std::uint64_t percent = total_ == 0 ? 100 : std::min<std::uint64_t>(done * 100 / total_, 100);
    err_ << printable(what_) << ": " << format_count(static_cast<std::int64_t>(done)) << " of "
         << format_count(static_cast<std::int64_t>(total_)) << " (" << percent << " %)" << std::endl;
}

}  // namespace sluice::cli
