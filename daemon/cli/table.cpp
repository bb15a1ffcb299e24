#include "daemon/cli/table.hpp"

#include <algorithm>
#include <cstdint>

#include "daemon/base/assert.hpp"
#include "daemon/base/text.hpp"

namespace sluice::cli {
namespace {

/// Code points, which is what one column is for the texts printed here.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<Column>& columns,
                    const std::vector<std::size_t>& widths, const std::string& indent) {
    std::string line = indent;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i > 0) line += "  ";
        const std::string padding(widths[i] - width_of(cells[i]), ' ');
        line += columns[i].align == Align::right ? padding + cells[i] : cells[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

}  // namespace

Table::Table(std::vector<Column> columns, std::string indent)
    : columns_(std::move(columns)), indent_(std::move(indent)) {}

void Table::add(std::vector<std::string> cells) {
    SLUICE_ASSERT(cells.size() == columns_.size());
    for (std::string& cell : cells) cell = printable(cell);
    rows_.push_back({std::move(cells), {}});
}

void Table::note(std::string text) {
    SLUICE_ASSERT(!rows_.empty());
    rows_.back().notes.push_back(printable(text));
}

std::string Table::text() const {
    std::vector<std::string> titles;
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        titles.push_back(columns_[i].title);
        std::size_t width = width_of(columns_[i].title);
        for (const Row& row : rows_) width = std::max(width, width_of(row.cells[i]));
        widths.push_back(width);
    }
    std::string text = line_of(titles, columns_, widths, indent_);
    for (const Row& row : rows_) {
        text += line_of(row.cells, columns_, widths, indent_);
        for (const std::string& note : row.notes) text += indent_ + "    " + note + "\n";
    }
    return text;
}

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool is_c1 = c == 0xC2 && i + 1 < text.size() &&
                           static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (is_c1) ++i;
        out += c < 0x20 || c == 0x7F || is_c1 ? ' ' : text[i];
    }
    return out;
}

std::string age(WallTime then, WallTime now) {
    const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
    if (seconds < -60) return "-";
    if (seconds < 1) return "now";
    const auto two = [](std::int64_t large, const char* unit, std::int64_t small, const char* small_unit) {
        std::string text = std::to_string(large) + unit;
        if (small > 0) text += " " + std::to_string(small) + small_unit;
        return text;
    };
    if (seconds < 60) return std::to_string(seconds) + "s";
    if (seconds < 3600) return std::to_string(seconds / 60) + "m";
    if (seconds < 86'400) return two(seconds / 3600, "h", seconds / 60 % 60, "m");
    return two(seconds / 86'400, "d", seconds / 3600 % 24, "h");
}

std::string counted(std::uint64_t count, std::string_view noun) {
    const auto shown = static_cast<std::int64_t>(std::min<std::uint64_t>(count, INT64_MAX));
    return format_count(shown) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace sluice::cli
