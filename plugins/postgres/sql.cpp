#include "plugins/postgres/sql.hpp"

#include <algorithm>

namespace sluice::plugins::postgres {
namespace {

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts)
        text += (text.empty() ? "" : ", ") + part;
    return text;
}

std::string hex(std::uint64_t number) {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4)
        text += "0123456789abcdef"[number >> shift & 15];
    return text;
}

}  // namespace

std::string quoted_name(std::string_view name) {
    std::string text = "\"";
    for (const char c : name) {
        if (c == '"') text += '"';
        text += c;
    }
    return text + '"';
}

std::string quoted_text(std::string_view text) {
    std::string quoted = " E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted + '\'';
}

std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 1099511628211ULL;
    }
    return hash;
}

Sql::Sql(const Options& options, std::string_view schema, std::string_view pipeline)
    : mode_(options.mode), schema_(schema), key_(options.key) {
    target_ = in_schema(options.table);
    batches_ = in_schema("sluice_batches");
    lock_ = hash_of("sluice " + std::string(pipeline) + ' ' + target_);
    for (const Column& column : options.columns) {
        columns_.push_back(quoted_name(column.name));
        types_.push_back(column.sql_type);
    }
    column_list_ = joined(columns_);
    std::vector<std::string> key;
    for (const std::size_t place : key_)
        key.push_back(columns_[place]);
    key_list_ = joined(key);
}

std::string Sql::in_schema(std::string_view name) const {
    return quoted_name(schema_) + '.' + quoted_name(name);
}

std::string Sql::staging_prefix() const {
    return "_sluice_" + hex(lock_) + '_';
}

std::string Sql::staging_name(std::string_view session, std::size_t lane) const {
    return staging_prefix() + std::string(session) + '_' + std::to_string(lane);
}

std::string Sql::create_target() const {
    std::string text = "CREATE TABLE " + target_ + " (";
    for (std::size_t i = 0; i < columns_.size(); ++i)
        text += (i == 0 ? "" : ", ") + columns_[i] + ' ' + types_[i];
    if (mode_ == Mode::upsert) text += ", PRIMARY KEY (" + key_list_ + ')';
    return text + ')';
}

std::string Sql::create_batches() const {
    return "CREATE TABLE " + batches_ +
           " (pipeline text, target text, batch_id bigint, cluster_id text NOT NULL, plan text NOT "
           "NULL, records bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(), "
           "PRIMARY KEY "
           "(pipeline, target, batch_id))";
}

std::string Sql::try_insert() const {
    std::string nulls;
    for (std::size_t i = 0; i < columns_.size(); ++i)
        nulls += i == 0 ? "NULL" : ", NULL";
    return "INSERT INTO " + target_ + " (" + column_list_ + ") SELECT " + nulls + " WHERE false";
}

std::string Sql::unfilled_columns() const {
    const std::string table = quoted_text(target_) + "::regclass";
    std::string filled;
    for (const std::string& column : columns_)
        filled += (filled.empty() ? "" : ", ") + quoted_text(column);
    // A domain has a default and a NOT NULL of its own, and a BEFORE trigger (of a partition, too) may
    // fill what it likes: 1, 2 and 4 in tgtype are ROW, BEFORE and INSERT.
    return "SELECT string_agg(name, ', ' ORDER BY attnum) FROM (SELECT attnum, '\"' || replace(attname, '\"', "
           "'\"\"') || '\"' AS name FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE attrelid = " +
           table +
           " AND attnum > 0 AND NOT attisdropped AND (attnotnull OR typnotnull) AND NOT atthasdef AND "
           "attidentity = '' AND attgenerated = '' AND typdefault IS NULL) AS needed WHERE name NOT IN (" +
           filled +
           ") AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgtype & 7 = 7 AND tgenabled <> 'D' AND "
           "(tgrelid = " +
           table + " OR tgrelid IN (SELECT relid FROM pg_partition_tree(" + table + "))))";
}

std::string Sql::create_staging(std::string_view table, bool temporary) const {
    std::string text = temporary ? "CREATE TEMPORARY TABLE " : "CREATE UNLOGGED TABLE ";
    text += table;
    if (temporary) text += " ON COMMIT DROP";
    text += " AS SELECT " + column_list_;
    if (mode_ == Mode::upsert)
        text +=
            ", 0::bigint AS _sluice_offset, 0::bigint AS _sluice_range, false AS _sluice_delete";
    return text + " FROM " + target_ + " WITH NO DATA";
}

std::string Sql::copy_into(std::string_view table, bool is_staging) const {
    std::string text = "COPY " + std::string(table) + " (" + column_list_;
    if (is_staging && mode_ == Mode::upsert)
        text += ", _sluice_offset, _sluice_range, _sluice_delete";
    return text + ") FROM STDIN";
}

std::string Sql::same_key(const std::string& one, const std::string& other) const {
    std::string same;
    for (const std::size_t place : key_)
        same += " AND " + one + '.' + columns_[place] + " = " + other + '.' + columns_[place];
    return same;
}

std::string Sql::newest_rows(const std::vector<std::string>& staging) const {
    std::string rows = "SELECT DISTINCT ON (" + key_list_ + ") * FROM ";
    if (staging.size() == 1) {
        rows += staging.front();
    } else {
        std::string all;
        for (const std::string& table : staging)
            all += (all.empty() ? "" : " UNION ALL ") + ("SELECT * FROM " + table);
        rows += '(' + all + ") AS staged";
    }
    return rows + " ORDER BY " + key_list_ + ", _sluice_offset DESC, _sluice_range DESC";
}

std::string Sql::upsert_from(std::string_view rows) const {
    std::string sets;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (std::find(key_.begin(), key_.end(), i) != key_.end()) continue;
        sets += (sets.empty() ? "" : ", ") + columns_[i] + " = EXCLUDED." + columns_[i];
    }
    return "INSERT INTO " + target_ + " (" + column_list_ + ") SELECT " + column_list_ + " FROM (" +
           std::string(rows) + ") AS newest WHERE NOT _sluice_delete ON CONFLICT (" + key_list_ +
           ") DO " + (sets.empty() ? "NOTHING" : "UPDATE SET " + sets);
}

std::vector<std::string> Sql::merge(const std::vector<std::string>& staging,
                                    bool has_deletes) const {
    std::vector<std::string> statements;
    if (mode_ == Mode::append) {
        for (const std::string& table : staging)
            statements.push_back("INSERT INTO " + target_ + " (" + column_list_ + ") SELECT " +
                                 column_list_ + " FROM " + table);
        return statements;
    }
    const std::string rows = newest_rows(staging);
    if (has_deletes) {
        statements.push_back("DELETE FROM " + target_ + " AS target USING (" + rows +
                             ") AS newest WHERE newest._sluice_delete" + same_key("target", "newest"));
    }
    statements.push_back(upsert_from(rows));
    return statements;
}

std::string Sql::create_merged(std::string_view table) const {
    const std::string name(table);
    // Unique: the planner, who knows nothing else of it, then expects one row of a key.
    return "CREATE TEMPORARY TABLE " + name + " ON COMMIT DROP AS SELECT " + key_list_ +
           ", 0::bigint AS _sluice_offset, 0::bigint AS _sluice_range FROM " + target_ +
           " WITH NO DATA; CREATE UNIQUE INDEX ON " + name + " (" + key_list_ + ')';
}

std::string Sql::drop_older(std::string_view staging, std::string_view merged) const {
    return "DELETE FROM " + std::string(staging) + " AS staged USING " + std::string(merged) +
           " AS merged WHERE (merged._sluice_offset, merged._sluice_range) > (staged._sluice_offset, "
           "staged._sluice_range)" +
           same_key("merged", "staged");
}

std::string Sql::note_merged(const std::string& staging, std::string_view merged) const {
    const std::string list = key_list_ + ", _sluice_offset, _sluice_range";
    return "INSERT INTO " + std::string(merged) + " (" + list + ") SELECT " + list + " FROM (" +
           newest_rows({staging}) + ") AS newest ON CONFLICT (" + key_list_ +
           ") DO UPDATE SET _sluice_offset = EXCLUDED._sluice_offset, _sluice_range = "
           "EXCLUDED._sluice_range";
}

}  // namespace sluice::plugins::postgres
