#include "plugins/file/options.hpp"

#include <charconv>
#include <stdexcept>

namespace sluice::plugins::file {
namespace {

Modes read_modes(std::string_view text) {
    unsigned mode = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    if (error != std::errc() || end != text.data() + text.size() || mode > 0777)
        throw std::invalid_argument("fileMode '" + std::string(text) +
                                    "' is no octal mode such as \"0640\" (in quotes, in YAML)");
    if ((mode & 0600) != 0600)
        throw std::invalid_argument("fileMode '" + std::string(text) +
                                    "' would lock sluice itself out: its owner needs rw (06..)");
    // x where r is: to list a directory means to enter it.
    return {static_cast<mode_t>(mode), static_cast<mode_t>(mode | ((mode & 0444) >> 2))};
}

}  // namespace

Options read_options(const Settings& settings) {
    Options options;
    options.path = settings.string("path");
    options.mode = settings.string("mode", "parts") == "append" ? Mode::append : Mode::parts;
    options.format = settings.string("format", "json") == "value" ? Format::value : Format::json;
    options.value = settings.string("value", "text") == "json" ? ValueMode::json : ValueMode::text;
    const std::string_view compression = settings.string("compression", "none");
    options.compression = compression == "gzip"   ? Compression::gzip
                          : compression == "zstd" ? Compression::zstd
                                                  : Compression::none;
    options.roll_size = settings.size("rollSize", std::uint64_t{1} << 30);
    options.modes = read_modes(settings.string("fileMode", "0640"));
    options.keep_manifests = settings.size("keepManifests", 10000);

    if (options.path.empty() || options.path.front() != '/')
        throw std::invalid_argument("path '" + options.path + "' is not absolute");
    if (options.format == Format::value && options.value == ValueMode::json)
        throw std::invalid_argument(
            "value: json embeds JSON in a JSON line: it needs format: json, not format: value");
    return options;
}

std::string extension(Compression compression) {
    switch (compression) {
        case Compression::gzip:
            return ".jsonl.gz";
        case Compression::zstd:
            return ".jsonl.zst";
        case Compression::none:
            break;
    }
    return ".jsonl";
}

}  // namespace sluice::plugins::file
