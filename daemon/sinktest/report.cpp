#include "daemon/sinktest/report.hpp"

#include <algorithm>

namespace sluice::sinktest {

std::string_view name_of(Proof proof) noexcept {
    switch (proof) {
        case Proof::nothing: return "nothing";
        case Proof::at_least_once: return "at-least-once";
        case Proof::idempotent: return "idempotent";
        case Proof::exactly_once: return "exactly-once";
    }
    return "?";
}

Proof proof_of(sink::Guarantee guarantee) noexcept {
    switch (guarantee) {
        case sink::Guarantee::at_least_once: return Proof::at_least_once;
        case sink::Guarantee::idempotent: return Proof::idempotent;
        case sink::Guarantee::exactly_once: return Proof::exactly_once;
    }
    return Proof::exactly_once;
}

bool fails(const Finding& finding, sink::Guarantee declared) noexcept {
    return finding.is_fault || finding.at_most < proof_of(declared);
}

bool Report::passed() const {
    return std::none_of(scenarios.begin(), scenarios.end(), [](const ScenarioReport& scenario) {
        return scenario.outcome == Outcome::failed;
    });
}

}  // namespace sluice::sinktest
