#include "daemon/config/findings.hpp"

#include <algorithm>
#include <tuple>

#include "daemon/base/text.hpp"

namespace sluice::config {

std::size_t Findings::add_file(std::string name, std::filesystem::path directory) {
    files_.push_back({std::move(name), std::move(directory)});
    return files_.size() - 1;
}

void Findings::error(const Position& at, std::string_view path, std::string_view message) {
    ++errors_;
    add(at, path, message, true);
}

void Findings::warning(const Position& at, std::string_view path, std::string_view message) {
    add(at, path, message, false);
}

bool Findings::has_error_in(std::string_view path) const {
    if (left_out_ > 0) return true;  // one of those may be
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        const std::string_view found = entry.finding.path;
        if (!entry.finding.is_error || !found.starts_with(path)) return false;
        return found.size() == path.size() || found[path.size()] == '.' || found[path.size()] == '[';
    });
}

namespace {

/// U+0000 to U+001F, U+007F to U+009F.
bool is_control(std::string_view character) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
    if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
    return character.size() == 2 && byte(0) == 0xC2 && byte(1) < 0xA0;
}

/// Keys and values can be anything, and findings go to terminals and logs: one line, without what a
/// terminal would obey, not longer than a person reads.
std::string printable(std::string_view text, std::size_t bytes_max) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= bytes_max) return out + "…";
        // yaml-cpp quotes single bytes of what is one character.
        const std::size_t valid = utf8_sequence(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(valid, 1));
        if (character == "\n") {
            out += "\\n";
        } else if (valid == 0 || is_control(character)) {
            out += '?';
        } else {
            out += character;
        }
        text.remove_prefix(character.size());
    }
    return out;
}

}  // namespace

void Findings::add(const Position& at, std::string_view path, std::string_view message,
                   bool is_error) {
    if (entries_.size() == findings_max) {
        ++left_out_;
        return;
    }
    Finding finding;
    finding.file = at.file < files_.size() ? files_[at.file].name : std::string();
    finding.line = at.line;
    finding.column = at.column;
    finding.path = printable(path, path_bytes_max);
    finding.message = printable(message, message_bytes_max);
    finding.is_error = is_error;
    entries_.push_back({at, std::move(finding)});
}

std::vector<Finding> Findings::sorted() const {
    std::vector<Entry> entries = entries_;
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.at.file, a.at.line, a.at.column) <
               std::tie(b.at.file, b.at.line, b.at.column);
    });
    std::vector<Finding> findings;
    findings.reserve(entries.size() + 1);
    for (Entry& entry : entries) findings.push_back(std::move(entry.finding));
    if (left_out_ > 0) {
        Finding rest;
        rest.file = files_.empty() ? std::string() : files_.front().name;
        rest.message = "and " + std::to_string(left_out_) + " more findings, not shown";
        findings.push_back(std::move(rest));
    }
    return findings;
}

std::string join_path(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
}

std::string to_string(const Finding& finding) {
    std::string text = finding.file;
    if (finding.line > 0) {
        text += ":" + std::to_string(finding.line) + ":" + std::to_string(finding.column);
    }
    if (!text.empty()) text += ": ";
    if (!finding.is_error) text += "warning: ";
    if (!finding.path.empty()) text += finding.path + ": ";
    return text + finding.message;
}

Error to_error(const Loaded& loaded) {
    std::string message;
    for (const Finding& finding : loaded.findings) {
        if (!finding.is_error) continue;
        if (!message.empty()) message += '\n';
        message += to_string(finding);
    }
    return Error{ErrorCode::configuration, std::move(message)};
}

}  // namespace sluice::config
