#pragma once
// Where records go that a sink refuses: a topic or files. Durable before their batch is committed, at
// least once, and told apart by their source offset.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "sluice/sink.h"

namespace sluice::pipeline {

/// Safe for concurrent calls: ranges of a batch run side by side. Every call blocks.
class DeadLetters {
 public:
    virtual ~DeadLetters() = default;

    /// An attempt of a batch begins: what an earlier one left unsettled is given up.
    virtual Result<void> begin(std::uint64_t batch_id) = 0;
    /// The record is copied. `headers` are its own.
    virtual Result<void> add(const sluice_record& record, sluice_headers headers,
                             const std::string& reason, const std::stop_token& stop) = 0;
    /// All that was added is durable when this returns.
    virtual Result<void> settle(const std::stop_token& stop) = 0;

    /// Bytes that nobody has acknowledged yet. Does not block.
    [[nodiscard]] virtual std::uint64_t held_bytes() const { return 0; }
};

/// What Kafka Connect writes beside a dead letter, in its order: name and value.
std::vector<std::pair<std::string, std::string>> connect_headers(const std::string& pipeline,
                                                                 const std::string& plugin,
                                                                 const sluice_record& record,
                                                                 const std::string& reason);

/// What a file of dead letters has: the record as the `file` sink writes it, with "error" and "plugin" in
/// front, and '\n' at the end, the only one.
std::string dead_letter_line(const std::string& plugin, const sluice_record& record,
                             sluice_headers headers, const std::string& reason);

/// As configured; null when `errors.tolerance` is none. Opens nothing before the first letter.
/// `memory_max`: what letters to a topic may hold, at most, for as long as the pipeline runs; 0: nobody bounds it.
std::unique_ptr<DeadLetters> make_dead_letters(const config::Pipeline& pipeline, std::uint64_t memory_max);

}  // namespace sluice::pipeline
