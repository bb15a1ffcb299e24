#pragma once
// What a run of the kit answers.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/sink.hpp"

namespace sluice::sinktest {

/// The strongest guarantee that what was seen leaves possible.
enum class Proof { nothing, at_least_once, idempotent, exactly_once };
/// "exactly-once"; "nothing" for a sink that loses or alters records.
std::string_view name_of(Proof proof) noexcept;
Proof proof_of(sink::Guarantee guarantee) noexcept;

/// Something that was seen, and what it leaves possible.
struct Finding {
    Proof at_most = Proof::exactly_once;
    std::string text;       ///< what happened
    std::string rule;       ///< what should have, as sink.h says; the same for findings of one kind
    bool is_fault = false;  ///< wrong whatever is declared: a crash, a hang, a leak
};

enum class Outcome { passed, failed, not_tried };

struct ScenarioReport {
    std::string name;
    Outcome outcome = Outcome::passed;
    Proof proven = Proof::exactly_once;
    std::vector<Finding> findings;
    std::vector<std::string> notes;  ///< why it was not tried, what the sink did
};

struct Report {
    sink::Guarantee declared = sink::Guarantee::at_least_once;
    /// The weakest of all scenarios. What a sink without a reader shows is only its answers.
    Proof proven = Proof::exactly_once;
    bool has_reader = false;
    bool is_whole = true;  ///< every scenario was asked for
    std::uint64_t seed = 0;
    std::uint64_t records = 0;
    std::uint64_t batches = 0;
    std::uint64_t kills = 0;
    std::vector<ScenarioReport> scenarios;

    [[nodiscard]] bool passed() const;
};

/// Whether a finding is a failure for a sink that declares this.
bool fails(const Finding& finding, sink::Guarantee declared) noexcept;

}  // namespace sluice::sinktest
