#pragma once
// What the sink writes down about itself: the owner of a directory, the manifest of a batch, the
// receipt that the checkpoint keeps. All three are JSON. Parsing throws Fatal, naming the file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/file/options.hpp"

namespace sluice::plugins::file {

/// `_sluice.json`: whose directory this is, and how far it has come.
struct Owner {
    std::string pipeline;
    std::string cluster_id;
    Mode mode = Mode::parts;
    /// The newest batch that came as far as its commit, written down before anything of it can be
    /// seen: never behind the output. nullopt before the first.
    std::optional<std::uint64_t> newest_batch;
    std::string newest_plan;  ///< plan_fingerprint() of its ranges
};

/// What the checkpoint keeps for us. In parts mode that is the batch; in append mode also where the
/// output ends.
struct Receipt {
    Mode mode = Mode::parts;
    std::optional<std::uint64_t> batch;  ///< the last one committed; nullopt: none yet
    // append mode:
    std::string file;         ///< "current.jsonl"
    std::uint64_t inode = 0;  ///< 0 while length is 0
    std::uint64_t length = 0;
    std::uint32_t tail_crc32 = 0;               ///< of the last tail_size bytes
    std::optional<std::uint64_t> first_batch;   ///< the first that has bytes in `file`
    std::string rolled;                         ///< the file rolled last; empty: none
};
/// Bytes before the end by which an output is recognised.
inline constexpr std::uint64_t tail_size = 4096;

/// One file of a parts batch, or one range's bytes in current.jsonl.
struct PieceInfo {
    std::uint32_t range_index = 0;
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t from = 0;   ///< pieces of a range tile it
    std::int64_t until = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;   ///< in the file, so after compression
    std::uint32_t crc32 = 0;   ///< of those (zlib's crc32, as in gzip)
    std::string name;          ///< parts mode: in its partition's directory
    std::string staged;        ///< its name in the staging directory; empty: `content`
    std::string content;       ///< append mode, small ranges: the bytes themselves; never written down
};

/// `_batches/_<batch>.json`. Once it is there, the batch is committed.
struct Manifest {
    std::uint64_t batch = 0;
    std::string plan;  ///< plan_fingerprint()
    std::vector<PieceInfo> pieces;
    Receipt receipt;      ///< what commit() answers
    std::string file;     ///< append mode: the file appended to
    std::uint64_t start = 0;  ///< append mode: where the batch begins in it
    std::uint64_t length = 0; ///< append mode: where it ends
    std::string roll_to;  ///< append mode: the name that `file` gets; empty: it stays
};

std::string to_json(const Owner& owner);
std::string to_json(const Receipt& receipt);
std::string to_json(const Manifest& manifest);

/// `where` is named in errors.
Owner parse_owner(std::string_view text, const std::string& where);
Receipt parse_receipt(std::string_view text, const std::string& where);
Manifest parse_manifest(std::string_view text, const std::string& where);

}  // namespace sluice::plugins::file
