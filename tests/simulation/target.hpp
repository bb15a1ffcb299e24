#pragma once
// A simulated sink and what it writes to. The target outlives crashes; the sink and what it has not
// committed do not. Whatever the engine may not do to a sink (include/sluice/sink.h) is a violation.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/pipeline/dead_letters.hpp"
#include "daemon/sink/plugin.hpp"
#include "tests/simulation/broker.hpp"
#include "tests/simulation/world.hpp"

namespace sluice::simulation {

struct Manner {
    sink::Guarantee guarantee = sink::Guarantee::exactly_once;
    bool ordered = false;
    int refuses = 0;  ///< about one record of so many; 0 for none
};

/// Whether the sink never takes this record, in whatever form it says so.
inline bool is_refused(const Manner& manner, Value value) {
    return manner.refuses > 0 &&
           static_cast<std::uint64_t>(value) * 2'654'435'761U / 1024 % static_cast<std::uint64_t>(manner.refuses) == 0;
}

/// A range that was handed to the sink, whole: what makes a batch the same batch again.
struct Piece {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t until = 0;
    bool operator==(const Piece&) const = default;
};

struct Target {
    struct Committed {
        std::string receipt;
        std::set<Value> values;
    };
    std::map<Value, int> visible;                   ///< how often each record can be seen
    std::map<std::uint64_t, Committed> committed;   ///< what the sink knows; empty when at-least-once
    std::map<std::uint64_t, std::vector<Piece>> begun;  ///< every batch ever begun
    /// What commit() or begin() last answered OK with, by batch: what the checkpoint must say.
    std::map<std::uint64_t, std::string> receipts;
    /// The newest receipt the checkpoint has been given: what open() must be handed.
    std::optional<std::string> recorded;
    int commits = 0;
    std::map<Value, int> letters;  ///< dead letters that are durable
};

std::shared_ptr<const sink::Plugin> make_plugin(World& world, const Broker& broker, Target& target,
                                                const Manner& manner);

/// Where refused records go: durable once settled.
std::unique_ptr<pipeline::DeadLetters> make_dead_letters(World& world, Target& target, const Manner& manner);

}  // namespace sluice::simulation
