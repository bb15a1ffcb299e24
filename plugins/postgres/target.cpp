#include "plugins/postgres/target.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "plugins/postgres/row_search.hpp"

namespace sluice::plugins::postgres {
namespace {

constexpr const char* temporary_stage = "pg_temp.\"_sluice_stage\"";
constexpr const char* temporary_merged = "pg_temp.\"_sluice_merged\"";
/// That they are all bad, each by itself, is not likely any more.
constexpr std::size_t many_rows = 100;
constexpr std::size_t refused_max = 100'000;  ///< of a batch, by the daemon; beyond it stops the pipeline
/// Rows of sluice_batches kept per pipeline and table.
constexpr std::int64_t batches_kept = 10'000;

std::string first_value(const Rows& rows) {
    return rows.empty() || rows.front().empty() ? "" : rows.front().front().value_or("");
}

}  // namespace

std::string_view NamedRows::part(std::size_t at, std::size_t count) const {
    const std::size_t from = at == 0 ? 0 : ends[at - 1];
    return std::string_view(bytes).substr(from, ends[at + count - 1] - from);
}

void NamedRows::add(std::string_view row, RecordName name) {
    bytes += row;
    ends.push_back(bytes.size());
    names.push_back(name);
}

std::size_t NamedRows::memory() const {
    if (ends.empty()) return 0;
    return bytes.capacity() + ends.capacity() * sizeof(std::size_t) + names.capacity() * sizeof(RecordName);
}

/// One of several connections, and its staging table.
struct Target::Lane {
    Lane(const Options& options, Host host, const std::string& application, Memory& memory)
        : connection(options, host, application, memory) {}

    std::mutex mutex;
    Connection connection;
    std::string table;  // quoted; empty: not there
    bool is_used = false;
    std::optional<ServerError> broken;
};

Target::Target(const Options& options, Host host, std::string_view pipeline,
               std::string_view cluster, Memory& memory)
    : options_(options),
      host_(host),
      pipeline_(pipeline),
      cluster_(cluster),
      memory_(memory),
      main_(options, host, "sluice " + pipeline_, memory),
      late_held_(memory) {
    connect();
}

Target::~Target() {
    abort();
    if (!main_.is_open() || lanes_.empty()) return;
    try {
        drop_staging();
    } catch (const std::exception&) {
        // The next open() finds them by their names.
    }
}

void Target::connect() {
    for (auto& lane : lanes_)
        lane->connection.close();
    lanes_.clear();
    main_.open();
    try {
        prepare_table();
        check_cluster();
        drop_staging();
    } catch (...) {
        main_.close();  // the next call starts over
        throw;
    }
}

void Target::take_lock() {
    const std::string key = std::to_string(sql_->lock());
    if (first_value(main_.exec("SELECT pg_try_advisory_lock(" + key + ")")) == "t") return;
    // The session of a daemon that was killed lasts until the server has noticed.
    try {
        main_.exec("SET lock_timeout = 2000; SELECT pg_advisory_lock(" + key +
                   "); SET lock_timeout = " + std::to_string(options_.lock_timeout.count()));
        return;
    } catch (const ServerError& error) {
        if (error.sqlstate() != "55P03") throw;
    }
    const Rows holder = main_.exec(
        "SELECT a.pid, coalesce(host(a.client_addr), 'a local socket'), a.application_name FROM "
        "pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND "
        "l.granted "
        "AND (l.classid::bigint << 32 | l.objid::bigint) = " +
        key +
        " AND l.database = (SELECT oid FROM pg_database WHERE "
        "datname = current_database())");
    std::string who = "another session";
    if (!holder.empty())
        who = "server process " + holder[0][0].value_or("?") + " (" + holder[0][2].value_or("?") +
              ", from " + holder[0][1].value_or("?") + ")";
    throw ServerError(
        ErrorKind::retry, "55P03",
        who + " writes " + sql_->target() + " for pipeline " + pipeline_ +
            ": another daemon, or one that died a moment ago. If it stays, stop the other "
            "one, or end it by pg_terminate_backend()");
}

void Target::create_once(const std::string& name, const std::string& sql) {
    const auto is_there = [&] {
        return first_value(main_.exec("SELECT to_regclass($1) IS NOT NULL", {name})) == "t";
    };
    if (is_there()) return;
    // IF NOT EXISTS does not keep two sessions from creating it at once.
    main_.exec("BEGIN; SELECT pg_advisory_xact_lock(" +
               std::to_string(static_cast<std::int64_t>(hash_of("sluice create"))) + ")");
    try {
        if (!is_there()) main_.exec(sql);
        main_.exec("COMMIT");
    } catch (const ServerError& error) {
        main_.roll_back();
        // Another session was faster: without a table in it, a query may still be told that there was none.
        if (error.sqlstate() == "42P07") return;
        if (error.sqlstate() != "42501") throw;
        throw ServerError(error.kind(), error.sqlstate(),
                          std::string(error.what()) + "; or have the owner run: " + sql);
    }
}

void Target::prepare_table() {
    const std::string named = options_.schema.empty()
                                  ? quoted_name(options_.table)
                                  : quoted_name(options_.schema) + '.' + quoted_name(options_.table);
    std::string schema =
        first_value(main_.exec("SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = "
                               "c.relnamespace WHERE c.oid = "
                               "to_regclass($1)",
                               {named}));
    const bool is_there = !schema.empty();
    if (!is_there) {
        schema = options_.schema.empty() ? first_value(main_.exec("SELECT current_schema()"))
                                         : options_.schema;
        if (schema.empty())
            throw ServerError(
                ErrorKind::fatal, "3F000",
                "the search path of this user has no schema: write table as schema.table");
    }
    sql_.emplace(options_, schema, pipeline_);
    take_lock();
    if (!is_there) {
        if (!options_.create_table)
            throw ServerError(
                ErrorKind::fatal, "42P01",
                "there is no table " + sql_->target() +
                    ": set createTable: true, or create it: " + sql_->create_target());
        create_once(sql_->target(), sql_->create_target());
        host_.info("created table " + sql_->target());
    }
    create_once(sql_->batches(), sql_->create_batches());
    // What is missing is said now, and not by the first batch.
    if (const std::string unfilled = first_value(main_.exec(sql_->unfilled_columns())); !unfilled.empty())
        throw ServerError(ErrorKind::fatal, "23502",
                          "every row would be refused: " + sql_->target() + " demands a value of " + unfilled +
                              ", which `columns` does not fill. Add it to `columns`, or ALTER TABLE … ALTER "
                              "COLUMN … SET DEFAULT, or DROP NOT NULL");
    main_.exec("BEGIN");
    try {
        main_.exec(sql_->try_insert());
        if (options_.mode == Mode::upsert) {
            main_.exec(sql_->create_staging(temporary_stage, true));
            for (const std::string& statement : sql_->merge({temporary_stage}, true))
                main_.exec(statement);
        }
        main_.exec("ROLLBACK");
    } catch (...) {
        main_.roll_back();
        throw;
    }
}

void Target::check_cluster() {
    const Rows rows =
        main_.exec("SELECT cluster_id FROM " + sql_->batches() +
                       " WHERE pipeline = $1 AND target = $2 ORDER BY batch_id DESC LIMIT 1",
                   {pipeline_, sql_->target()});
    if (rows.empty() || rows[0][0] == cluster_) return;
    throw ServerError(ErrorKind::fatal, "",
                      sql_->target() + " has batches of pipeline " + pipeline_ +
                          " from Kafka cluster " + rows[0][0].value_or("") + ", and this one is " +
                          cluster_ + ": give the pipeline another name or table");
}

void Target::drop_staging() {
    const std::string prefix = sql_->staging_prefix();
    const Rows rows = main_.exec(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
        "starts_with(c.relname, $1) AND c.relkind = 'r' AND quote_ident(n.nspname) = "
        "quote_ident($2)",
        {prefix, sql_->schema()});
    for (const auto& row : rows)
        main_.exec("DROP TABLE IF EXISTS " + sql_->in_schema(row[0].value_or("")));
}

std::int64_t Target::newest_batch() {
    return std::stoll(
        first_value(main_.exec("SELECT coalesce(max(batch_id), -1) FROM " + sql_->batches() +
                                   " WHERE pipeline = $1 AND target = $2",
                               {pipeline_, sql_->target()})));
}

bool Target::begin(const BatchId& batch, std::int64_t last) {
    abort();
    if (!main_.is_open()) connect();
    std::int64_t newest = -1;
    try {
        newest = newest_batch();
    } catch (const ServerError&) {
        if (main_.is_open()) throw;
        connect();  // what broke while nothing was written is no failure of this batch
        newest = newest_batch();
    }
    if (newest > batch.id)
        throw ServerError(
            ErrorKind::fatal, "",
            sql_->target() + " has batch " + std::to_string(newest) + " of pipeline " + pipeline_ +
                ", and the checkpoint comes to batch " + std::to_string(batch.id) +
                ": another daemon runs this pipeline, or the checkpoint is older than the output. "
                "Stop one of the two, or restore the checkpoint that belongs to it, or give the "
                "pipeline another table");
    if (newest == batch.id) {
        const Rows rows = main_.exec("SELECT plan FROM " + sql_->batches() +
                                         " WHERE pipeline = $1 AND target = $2 AND batch_id = $3",
                                     {pipeline_, sql_->target(), std::to_string(batch.id)});
        if (first_value(rows) == batch.plan) return true;
        throw ServerError(
            ErrorKind::fatal, "",
            sql_->target() + " has batch " + std::to_string(batch.id) + " of pipeline " +
                pipeline_ +
                " with other offsets: another daemon wrote it, from a checkpoint of its own. "
                "Stop one of the two");
    }
    if (newest != last)
        throw ServerError(
            ErrorKind::fatal, "",
            "the checkpoint says that batch " + std::to_string(last) + " is in " + sql_->target() +
                ", and the newest there is " + std::to_string(newest) +
                (newest < last ? ": the output is older than the checkpoint (a restored backup, or "
                                 "another database). Restore what belongs together, or give the "
                                 "pipeline another table"
                               : ": another daemon wrote it. Stop one of the two"));
    care_ = care_next_;
    if (!is_direct()) open_lanes();
    return false;
}

void Target::open_lanes() {
    if (lanes_.empty()) {
        session_ = first_value(main_.exec(
            "SELECT pg_backend_pid() || '_' || floor(extract(epoch FROM clock_timestamp()) * "
            "1000)::bigint"));
        for (std::size_t i = 0; i < options_.connections; ++i)
            lanes_.push_back(
                std::make_unique<Lane>(options_, host_, "sluice " + pipeline_ + " writer", memory_));
    }
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        Lane& lane = *lanes_[i];
        lane.broken.reset();
        if (!lane.connection.is_open()) {
            lane.connection.open();
            if (!lane.table.empty()) {
                // The old session may still be copying: what it copies must go nowhere.
                main_.exec("DROP TABLE IF EXISTS " + lane.table);
                lane.table.clear();
            }
        }
        if (lane.table.empty()) {
            const std::string table = sql_->in_schema(sql_->staging_name(session_, i));
            main_.exec(sql_->create_staging(table, false));
            lane.table = table;
        } else if (lane.is_used) {
            main_.exec("TRUNCATE " + lane.table);
        }
        lane.is_used = false;
    }
    failpoint("postgres.begin.staging_ready");
}

void Target::begin_transaction() {
    if (in_transaction_) return;
    main_.exec("BEGIN");
    in_transaction_ = true;
    // Deferred constraints speak at each statement then, and so name the row.
    if (care_ == Care::deferred) main_.exec("SET CONSTRAINTS ALL IMMEDIATE");
    if (options_.mode == Mode::upsert) {
        main_.exec(sql_->create_staging(temporary_stage, true));
        if (is_careful()) main_.exec(sql_->create_merged(temporary_merged));
    }
}

void Target::put(std::size_t lane_index, std::string_view rows) {
    const auto put_on = [&](Connection& connection, std::optional<ServerError>& broken,
                            const std::string& copy, const auto& before) {
        if (broken) throw *broken;  // rows of this batch are lost already
        try {
            before();
            if (!connection.is_copying()) connection.copy_begin(copy);
            connection.copy_put(rows);
        } catch (const ServerError& error) {
            broken = error;
            throw;
        }
        failpoint("postgres.write.after_put");
    };
    if (is_direct()) {
        const std::lock_guard lock(mutex_);
        const bool stages = options_.mode == Mode::upsert;
        put_on(main_, broken_, sql_->copy_into(stages ? temporary_stage : sql_->target(), stages),
               [&] { begin_transaction(); });
        return;
    }
    Lane& lane = *lanes_[lane_index % lanes_.size()];
    const std::lock_guard lock(lane.mutex);
    lane.is_used = true;
    put_on(lane.connection, lane.broken, sql_->copy_into(lane.table, true), [] {});
}

void Target::attempt(std::string_view rows) {
    const bool stages = options_.mode == Mode::upsert;
    main_.exec("SAVEPOINT rows");
    main_.copy_begin(sql_->copy_into(stages ? temporary_stage : sql_->target(), stages));
    main_.copy_put(rows);
    main_.copy_end();
    if (stages) {
        // Merged to stay: rows of later calls may need these, or a key that these give up. A range that is
        // read beside this one may have brought a newer row already.
        main_.exec(sql_->drop_older(temporary_stage, temporary_merged));
        for (const std::string& statement : sql_->merge({temporary_stage}, true))
            main_.exec(statement);
        main_.exec(sql_->note_merged(temporary_stage, temporary_merged) + "; TRUNCATE " + temporary_stage);
    }
    main_.exec("RELEASE SAVEPOINT rows");
}

void Target::check_table_takes_any(const std::vector<Refusal>& refused) {
    // The server's own refusals have the row's values in their detail: these differ. P0 is RAISE.
    const std::string& reason = refused.front().reason;
    bool takes_none = std::all_of(refused.begin(), refused.end(), [&](const Refusal& row) {
        return row.sqlstate.substr(0, 2) == "P0" && row.reason == reason;
    });
    if (!takes_none) {
        try {
            attempt("");  // triggers for each statement speak without a row, too
        } catch (const ServerError& error) {
            if (error.kind() != ErrorKind::row || !main_.is_open()) throw;
            main_.exec("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows");
            takes_none = true;
        }
    }
    if (takes_none)
        throw ServerError(ErrorKind::fatal, "",
                          sql_->target() + " refuses every one of " + std::to_string(refused.size()) +
                              " rows: " + reason +
                              ". The table or a trigger of it is at fault rather than the records: put it "
                              "right, and start the pipeline again");
}

std::vector<Target::Refusal> Target::try_rows(const NamedRows& rows) {
    std::vector<Refusal> refused;
    for (RowSearch search(rows.size()); !search.is_done();) {
        const std::size_t at = search.at();
        try {
            attempt(rows.part(at, search.size()));
            search.taken();
        } catch (const ServerError& error) {
            if (error.kind() != ErrorKind::row || !main_.is_open()) throw;
            main_.exec("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows");
            if (!search.refused(error.line())) continue;
            // Of more than the daemon takes from a batch, nobody will hear why.
            const bool is_told = refused.size() <= refused_max;
            refused.push_back({at, is_told ? error.what() : std::string(), error.sqlstate()});
            // Thousands of them take longer than the daemon waits.
            if (refused.size() >= many_rows && host_.stopping())
                throw ServerError(ErrorKind::retry, "", "stopped while refused rows were looked for");
        }
    }
    return refused;
}

void Target::try_later(std::string_view row, RecordName name, const std::string& reason) {
    if (late_.size() != 0 && late_.memory() + row.size() > options_.late_max)
        throw ServerError(ErrorKind::fatal, "",
                          sql_->target() + " refuses too many rows of this batch to keep them for a second try: " +
                              std::to_string(late_.size()) + " rows, " + std::to_string(late_.memory() >> 20) +
                              " MiB. The last one: " + reason +
                              ". Put the table right, and start the pipeline again; where the rows are at fault, "
                              "raise memoryMax, or lower maxOffsetsPerTrigger and plan anew (`sluice batches "
                              "replan`)");
    late_.add(row, name);
    late_held_.set(late_.memory());
}

std::vector<RefusedRow> Target::put_carefully(const NamedRows& rows) {
    std::vector<RefusedRow> named;
    const std::lock_guard lock(mutex_);
    if (broken_) throw *broken_;
    try {
        begin_transaction();
        const std::vector<Refusal> refused = try_rows(rows);
        if (rows.size() >= many_rows && refused.size() == rows.size()) check_table_takes_any(refused);
        for (const Refusal& each : refused) {
            if (depends_on_others(each.sqlstate)) {
                try_later(rows.part(each.row, 1), rows.names[each.row], each.reason);
            } else {
                named.emplace_back(each.row, each.reason);
            }
        }
    } catch (const ServerError& error) {
        broken_ = error;
        throw;
    }
    return named;
}

std::vector<RefusedRecord> Target::settle() {
    if (broken_) throw *broken_;
    std::vector<RefusedRecord> refused;
    std::size_t before = 0;
    do {
        before = late_.size();
        refused.clear();
        NamedRows left;
        std::vector<Refusal> found = try_rows(late_);
        // The next round goes from the other end: rows that need each other come in whichever way they stand.
        for (auto each = found.rbegin(); each != found.rend(); ++each) {
            const RecordName name = late_.names[each->row];
            left.add(late_.part(each->row, 1), name);
            refused.emplace_back(name, std::move(each->reason));
        }
        std::swap(late_, left);  // an assignment may keep the larger buffer
        late_held_.set(late_.memory());
    } while (!refused.empty() && refused.size() < before);
    return refused;
}

bool Target::be_more_careful() {
    if (care_ == Care::deferred) return false;
    if (care_next_ == care_) care_next_ = care_ == Care::none ? Care::rows : Care::deferred;
    return true;
}

void Target::note(const BatchId& batch, std::int64_t last, std::uint64_t records) {
    Rows rows;
    try {
        rows = main_.exec(
            "INSERT INTO " + sql_->batches() +
                " (pipeline, target, batch_id, cluster_id, plan, records) SELECT $1, $2, "
                "$3::bigint, $4, $5, $6::bigint WHERE (SELECT coalesce(max(batch_id), -1) "
                "FROM " +
                sql_->batches() +
                " WHERE pipeline = $1 AND target = $2) = $7::bigint RETURNING batch_id",
            {pipeline_, sql_->target(), std::to_string(batch.id), cluster_, batch.plan,
             std::to_string(records), std::to_string(last)});
    } catch (const ServerError& error) {
        if (error.sqlstate() != "23505") throw;
    }
    if (rows.empty())
        throw ServerError(ErrorKind::fatal, "",
                          "another daemon has written batches of pipeline " + pipeline_ + " to " +
                              sql_->target() + " behind this one's back. Nothing of batch " +
                              std::to_string(batch.id) + " was kept: stop one of the two");
    if (batch.id % 1000 == 0)
        main_.exec("DELETE FROM " + sql_->batches() +
                       " WHERE pipeline = $1 AND target = $2 AND batch_id < $3",
                   {pipeline_, sql_->target(), std::to_string(batch.id - batches_kept)});
}

void Target::commit(const BatchId& batch, std::int64_t last, std::uint64_t records,
                    bool has_deletes) {
    if (broken_) throw *broken_;
    failpoint("postgres.commit.before_copy_end");
    std::vector<std::string> staging;
    if (is_direct()) {
        if (main_.is_copying()) main_.copy_end();
        if (in_transaction_ && options_.mode == Mode::upsert && !is_careful())
            staging.emplace_back(temporary_stage);
    } else {
        for (auto& lane : lanes_) {
            if (lane->broken) throw *lane->broken;
            if (lane->connection.is_copying()) lane->connection.copy_end();
            if (lane->is_used) staging.push_back(lane->table);
        }
    }
    failpoint("postgres.commit.before_merge");
    if (!in_transaction_) main_.exec("BEGIN");
    in_transaction_ = true;
    if (!staging.empty())
        for (const std::string& statement : sql_->merge(staging, has_deletes))
            main_.exec(statement);
    failpoint("postgres.commit.before_note");
    note(batch, last, records);
    failpoint("postgres.commit.before_commit");
    main_.send("COMMIT");
    failpoint("postgres.commit.sent");
    try {
        main_.receive();
    } catch (const ServerError& error) {
        // Nothing but what was deferred is left for COMMIT to check: rows alone would not show it.
        if (error.kind() == ErrorKind::row) care_next_ = Care::deferred;
        throw;
    }
    failpoint("postgres.commit.after_commit");
    in_transaction_ = false;
    care_next_ = Care::none;
}

void Target::abort() noexcept {
    main_.roll_back();
    in_transaction_ = false;
    broken_.reset();
    NamedRows none;
    std::swap(late_, none);
    late_held_.set(0);
    for (auto& lane : lanes_)
        lane->connection.roll_back();
}

}  // namespace sluice::plugins::postgres
