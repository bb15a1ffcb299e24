#include "plugins/file/names.hpp"

#include <charconv>

#include "plugins/file/errors.hpp"

namespace sluice::plugins::file {
namespace {

constexpr std::string_view staging_prefix = ".batch-";
constexpr std::string_view hex_digits = "0123456789ABCDEF";

bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

}  // namespace

std::string padded(std::uint64_t number) {
    std::string digits = std::to_string(number);
    return std::string(20 - digits.size(), '0') + digits;
}

std::string padded_pair(std::uint64_t from, std::uint64_t until) {
    return padded(from) + "-" + padded(until);
}

std::string topic_directory(std::string_view topic) {
    if (topic.empty() || topic == "." || topic == "..")
        throw Fatal("no directory can be named after topic '" + std::string(topic) + "'");
    const bool ours = topic == owner_file || topic == manifests_directory;
    std::string name;
    for (std::size_t i = 0; i < topic.size(); ++i) {
        const char c = topic[i];
        if (is_plain(c) && !(i == 0 && (ours || c == '.'))) {
            name += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        name += '%';
        name += hex_digits[byte >> 4];
        name += hex_digits[byte & 15];
    }
    return name;
}

std::string partition_directory(std::int32_t partition) {
    return "partition=" + std::to_string(partition);
}

std::string manifest_name(std::uint64_t batch) {
    std::string name = "_";
    name.append(std::to_string(batch)).append(".json");
    return name;
}

std::string staging_name(std::uint64_t batch) {
    return std::string(staging_prefix) + std::to_string(batch);
}

bool parse_staging_name(std::string_view name, std::uint64_t& batch) {
    if (name.substr(0, staging_prefix.size()) != staging_prefix) return false;
    name.remove_prefix(staging_prefix.size());
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), batch);
    return error == std::errc() && end == name.data() + name.size();
}

std::string plan_fingerprint(const Ranges& ranges) {
    std::uint64_t hash = 0xCBF29CE484222325U;
    const auto add = [&hash](std::string_view text) {
        for (const char c : text) {
            hash ^= static_cast<unsigned char>(c);
            hash *= 0x100000001B3U;
        }
    };
    for (const Range& range : ranges) {
        add(range.topic);
        add("/");
        add(std::to_string(range.partition));
        add(":");
        add(std::to_string(range.from));
        add("-");
        add(std::to_string(range.until));
        add("\n");
    }
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; hash >>= 4) text[i] = hex_digits[hash & 15];
    return text;
}

}  // namespace sluice::plugins::file
