#pragma once
// The options of the file sink: their table (what `sluice plugins` prints and YAML is checked against)
// and their values.

#include <cstdint>
#include <string>

#include "plugins/common/json_lines.hpp"
#include "plugins/file/directory.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::file {

enum class Mode { parts, append };
enum class Format { value, json };
enum class Compression { none, gzip, zstd };

inline constexpr sluice_option option_table[] = {
    option("path", SLUICE_OPTION_PATH,
           "Directory that belongs to this pipeline alone; created when it is missing.")
        .required(),
    option("mode", SLUICE_OPTION_CHOICE,
           "`parts`: files per partition that never change; `append`: one growing `current.jsonl`.")
        .choices("parts|append")
        .by_default("parts"),
    option("format", SLUICE_OPTION_CHOICE,
           "`json`: one object per record, lossless; `value`: the value's bytes and a line break (a "
           "null value is an empty line, a line break inside a value is not escaped).")
        .choices("json|value")
        .by_default("json"),
    option("value", SLUICE_OPTION_CHOICE,
           "With `format: json`: the value as a string, or embedded where it is valid JSON.")
        .choices("text|json")
        .by_default("text"),
    option("compression", SLUICE_OPTION_CHOICE, "Compressed files end in `.gz` or `.zst`.")
        .choices("none|gzip|zstd")
        .by_default("none"),
    option("rollSize", SLUICE_OPTION_SIZE,
           "A file that has this size is followed by a new one; `0`: never. In `parts` counted "
           "before compression, so that a re-run cuts at the same record.")
        .by_default("1GiB"),
    option("fileMode", SLUICE_OPTION_STRING,
           "Octal, in quotes, whatever the umask; directories get x where this has r.")
        .by_default("0640"),
    option("keepManifests", SLUICE_OPTION_INT,
           "Manifests kept in `_batches`, the newest ones; `0`: all.")
        .by_default("10000")
        .between(0, INT64_MAX),
};

struct Options {
    std::string path;
    Mode mode = Mode::parts;
    Format format = Format::json;
    ValueMode value = ValueMode::text;
    Compression compression = Compression::none;
    std::uint64_t roll_size = 0;  ///< 0: never
    Modes modes;
    std::uint64_t keep_manifests = 0;  ///< 0: all
};

/// Throws std::invalid_argument when the options do not fit together. Touches no file.
Options read_options(const Settings& settings);

/// ".jsonl", ".jsonl.gz", ".jsonl.zst".
std::string extension(Compression compression);

}  // namespace sluice::plugins::file
