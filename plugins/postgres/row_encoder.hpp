#pragma once
// One record as one row of COPY's text format. Text and not binary: the server's own input
// functions then read any type, and what they refuse names its column.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/postgres/json_fields.hpp"
#include "plugins/postgres/options.hpp"
#include "sluice/sink.hpp"

namespace sluice::plugins::postgres {

/// The plan of a row, made once per sink. Constant; shared by its encoders.
class RowPlan {
 public:
    explicit RowPlan(const Options& options);

    std::vector<Column> columns;
    std::vector<bool> is_key;
    Mode mode;
    bool needs_headers = false;
    bool key_in_value = false;  ///< a null value then says nothing about which row to delete
    FieldTree key_fields;
    FieldTree value_fields;
};

/// Confined to one writer. Allocates only while its buffers grow.
class RowEncoder {
 public:
    /// `range` goes into the rows of an upsert: between equal offsets the later range wins.
    RowEncoder(const RowPlan& plan, std::uint32_t range);

    /// Appends the row. False when the record cannot be a row: `reason` says why, for a person, and
    /// `out` is as it was.
    bool append(std::string& out, Record record, Headers headers, std::string& reason);

    /// Null values among the rows appended in mode upsert: rows that delete.
    [[nodiscard]] std::uint64_t deletes() const { return deletes_; }

 private:
    bool append_column(std::string& out, const Column& column, std::size_t index, Record record,
                       Headers headers, std::string& reason);
    bool append_bytes(std::string& out, const Column& column, std::string_view bytes,
                      std::string& reason);
    bool append_json(std::string& out, const Column& column, std::string_view json,
                     std::string& reason);

    const RowPlan& plan_;
    std::uint32_t range_;
    std::uint64_t deletes_ = 0;
    std::vector<std::string_view> found_;
    std::string scratch_;
};

/// Text with COPY's escapes. False at a NUL byte, or when it is no valid UTF-8.
bool append_copy_text(std::string& out, std::string_view text);

/// ISO 8601 in UTC. False outside of the years 1 to 9999.
bool append_timestamp(std::string& out, std::int64_t ms);

}  // namespace sluice::plugins::postgres
