#pragma once
// Values of the store as bytes. Each begins with the version of its own layout (1 today), so that one
// layout can change without the others. README.md has them byte by byte.
//
// Decoders trust nothing: bytes that were cut, flipped or written by something else give a `storage`
// error saying which byte ("truncated at byte 14 of 20"), never a crash and never a value that breaks
// the rules of the type. A value has one form: bytes that are taken are those that encode() would write
// (the stamp's tail apart). The caller adds which entry it was.

#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoints/store.hpp"

namespace sluice::checkpoints {

/// Which layout the whole store has, and who wrote it so.
struct FormatStamp {
    std::uint64_t format = 0;
    std::string written_by;  ///< the version of sluice that reads it
    bool operator==(const FormatStamp&) const = default;
};

std::string encode(const FormatStamp& stamp);
std::string encode(const Plan& plan);
std::string encode(const Commit& commit);
std::string encode(const plan::Position& position);
std::string encode(const Receipt& receipt);
std::string encode(const LossEntry& entry);
std::string encode(const ControlEntry& entry);
std::string encode(const std::vector<RefusedRecord>& records);
std::string encode(RunState state);
std::string encode_number(std::uint64_t number);
std::string encode_text(std::string_view text);

/// Only the stamp may grow in formats we don't know: what follows its two fields is ignored.
Result<FormatStamp> decode_format(std::string_view bytes);
Result<Plan> decode_plan(std::string_view bytes);
Result<Commit> decode_commit(std::string_view bytes);
Result<plan::Position> decode_position(std::string_view bytes);
Result<Receipt> decode_receipt(std::string_view bytes);
Result<LossEntry> decode_loss(std::string_view bytes);
Result<ControlEntry> decode_control(std::string_view bytes);
Result<std::vector<RefusedRecord>> decode_refused(std::string_view bytes);
Result<RunState> decode_run_state(std::string_view bytes);
Result<std::uint64_t> decode_number(std::string_view bytes);
Result<std::string> decode_text(std::string_view bytes);

/// The instants alone, without the ranges and books behind them: for trimming history.
Result<WallTime> decode_planned_at(std::string_view plan_bytes);
struct Outcome {
    BatchState state = BatchState::committed;
    WallTime committed_at{};
};
Result<Outcome> decode_outcome(std::string_view commit_bytes);

}  // namespace sluice::checkpoints
