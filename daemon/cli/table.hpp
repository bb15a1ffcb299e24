#pragma once
// Text for people: aligned columns, times as distances, nothing that a terminal would obey.

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"

namespace sluice::cli {

enum class Align { left, right };

struct Column {
    std::string title;
    Align align = Align::left;
};

/// Collects rows, prints them under their titles, two spaces between columns, none at line ends.
/// Cells are made printable. Rows may be followed by lines of their own (`note`), indented.
class Table {
 public:
    explicit Table(std::vector<Column> columns, std::string indent = "");
    /// One cell per column (asserted).
    void add(std::vector<std::string> cells);
    /// A line below the last row.
    void note(std::string text);
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool is_empty() const { return rows_.empty(); }

 private:
    struct Row {
        std::vector<std::string> cells;
        std::vector<std::string> notes;
    };
    std::vector<Column> columns_;
    std::string indent_;
    std::vector<Row> rows_;
};

/// Control characters become spaces: broker and plugin texts end here. UTF-8 is kept.
std::string printable(std::string_view text);

/// "now", "5s", "12m", "3h 5m", "2d 4h": how long ago `then` was; "-" for the future beyond a minute.
std::string age(WallTime then, WallTime now);

/// "1 range", "7 ranges", "1,000 ranges": the plural by -s.
std::string counted(std::uint64_t count, std::string_view noun);

}  // namespace sluice::cli
