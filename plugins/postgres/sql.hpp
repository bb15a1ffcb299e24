#pragma once
// The statements of the sink, as text. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/postgres/options.hpp"

namespace sluice::plugins::postgres {

/// `name` in double quotes.
std::string quoted_name(std::string_view name);

/// `text` as a literal.
std::string quoted_text(std::string_view text);

/// 64 bits of FNV-1a: names of staging tables, the key of the advisory lock.
std::uint64_t hash_of(std::string_view text);

/// Everything that depends on the table and the options.
class Sql {
 public:
    /// `schema` is the table's, found in the database.
    Sql(const Options& options, std::string_view schema, std::string_view pipeline);

    [[nodiscard]] const std::string& schema() const { return schema_; }
    [[nodiscard]] const std::string& target() const { return target_; }    ///< "s"."t"
    [[nodiscard]] const std::string& batches() const { return batches_; }  ///< "s"."sluice_batches"
    /// Of the advisory lock: one pipeline writing one table.
    [[nodiscard]] std::int64_t lock() const { return static_cast<std::int64_t>(lock_); }
    /// What names of staging tables of this pipeline and table begin with.
    [[nodiscard]] std::string staging_prefix() const;
    [[nodiscard]] std::string staging_name(std::string_view session, std::size_t lane) const;
    [[nodiscard]] std::string in_schema(std::string_view name) const;

    [[nodiscard]] std::string create_target() const;
    [[nodiscard]] std::string create_batches() const;
    /// Executes to nothing; fails when columns or privileges are missing.
    [[nodiscard]] std::string try_insert() const;
    /// The columns, quoted, that an INSERT leaves null and the table does not.
    [[nodiscard]] std::string unfilled_columns() const;
    /// `table` is quoted; with `temporary` it ends with the transaction.
    [[nodiscard]] std::string create_staging(std::string_view table, bool temporary) const;
    /// COPY of rows as RowEncoder makes them.
    [[nodiscard]] std::string copy_into(std::string_view table, bool is_staging) const;
    /// From staging into the target: INSERT, or what upsert needs. `has_deletes`: there are null
    /// values.
    [[nodiscard]] std::vector<std::string> merge(const std::vector<std::string>& staging,
                                                 bool has_deletes) const;
    [[nodiscard]] std::string upsert_from(std::string_view rows) const;

    /// Where a batch is merged in pieces: the newest offset of each key so far, in a temporary table.
    [[nodiscard]] std::string create_merged(std::string_view table) const;
    /// Takes rows away from `staging` that are older than what was merged.
    [[nodiscard]] std::string drop_older(std::string_view staging, std::string_view merged) const;
    [[nodiscard]] std::string note_merged(const std::string& staging, std::string_view merged) const;

 private:
    [[nodiscard]] std::string same_key(const std::string& one, const std::string& other) const;
    [[nodiscard]] std::string newest_rows(const std::vector<std::string>& staging) const;

    Mode mode_;
    std::string schema_;
    std::string target_;
    std::string batches_;
    std::uint64_t lock_;
    std::string column_list_;
    std::string key_list_;
    std::vector<std::string> columns_;  // quoted
    std::vector<std::string> types_;
    std::vector<std::size_t> key_;
};

}  // namespace sluice::plugins::postgres
