// The sink beside a bare COPY of the same rows, in one run; prints ratios and asserts nothing.
//   tests/support/postgres.sh start DIR && SLUICE_TEST_POSTGRES=$(cat DIR/connection)
//   bench_postgres [ROWS] [ROUNDS]
// (SLUICE_TEST_FSYNC=on for `start` makes commits wait for the disk, as a real server does.)

#include <libpq-fe.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "plugins/postgres/row_encoder.hpp"
#include "tests/integration/postgres/database.hpp"
#include "tests/integration/sink_bench.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// Rows made beforehand, through libpq as fast as it takes them, in one transaction.
void bare_copy(const std::string& table, const std::string& columns,
               const std::vector<std::string>& pieces) {
    PGconn* const connection = PQconnectdb(Database::address().c_str());
    need(PQstatus(connection) == CONNECTION_OK, "no connection");
    PQclear(PQexec(connection, "BEGIN"));
    PQclear(PQexec(connection, ("COPY " + table + " (" + columns + ") FROM STDIN").c_str()));
    for (const std::string& piece : pieces)
        need(PQputCopyData(connection, piece.data(), static_cast<int>(piece.size())) == 1, "COPY");
    need(PQputCopyEnd(connection, nullptr) == 1, "COPY");
    while (PGresult* const result = PQgetResult(connection)) {
        need(PQresultStatus(result) == PGRES_COMMAND_OK, PQresultErrorMessage(result));
        PQclear(result);
    }
    PQclear(PQexec(connection, "COMMIT"));
    PQfinish(connection);
}

void through_sink(sink::Sink& sink, const BenchInput& input) {
    const auto ranges = input.ranges();
    need(sink.begin({0, false, ranges}).status == sink::Status::ok, "begin");
    std::vector<std::thread> threads;
    for (const auto& range : ranges)
        threads.emplace_back([&] { input.write(sink, range); });
    for (auto& thread : threads)
        thread.join();
    const auto committed = sink.commit(0);
    need(committed.status == sink::Status::ok, committed.message);
}

}  // namespace

int main(int count, char** arguments) {
    const std::int64_t rows = count > 1 ? std::atoll(arguments[1]) : 1'000'000;
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 3;
    const BenchInput input(rows);
    Database database;
    const auto plugin =
        sink::load_plugin(std::string(SLUICE_TEST_BINARY_DIR) + "/lib/sluice/postgres.so");
    need(plugin.has_value(), "no plugin");
    struct Kind {
        const char* name;
        const char* columns;
        const char* list;
    };
    const Kind kinds[] = {
        {"default columns", "", "topic, partition, \"offset\", timestamp, key, value"},
        {"four JSON fields",
         R"({"id":{"from":"value.id","type":"bigint"},"customer":"value.customer",
             "amount":{"from":"value.amount","type":"integer"},"note":"value.note"})",
         "id, customer, amount, note"},
    };
    for (const Kind& kind : kinds) {
        plugins::postgres::Options options;
        options.columns = *kind.columns == '\0' ? plugins::postgres::default_columns()
                                                : plugins::postgres::read_columns(kind.columns);
        const plugins::postgres::RowPlan plan(options);
        plugins::postgres::RowEncoder encoder(plan, 0);
        std::vector<std::string> pieces(1);
        std::string reason;
        const Cost encoding = cost_of([&] {
            for (const auto& records : input.records)
                for (const sluice_record& record : records) {
                    need(encoder.append(pieces.back(), Record(record), {nullptr, 0}, reason),
                         "row");
                    if (pieces.back().size() >= 256 * 1024) pieces.emplace_back();
                }
        });
        std::printf("%s, %lld rows: encoding alone, CPU %.2f s\n", kind.name,
                    static_cast<long long>(rows), encoding.cpu_seconds);
        sink::Settings settings{{"connection", Database::address()}, {"createTable", "true"}};
        if (*kind.columns != '\0') settings["columns"] = kind.columns;
        Rounds all;
        static const std::atomic<bool> stopping{false};
        for (int round = 0; round < rounds; ++round) {
            for (const char* connections : {"1", "2"}) {
                const std::string table = unique_table("bench");
                settings["table"] = table;
                settings["connections"] = connections;
                auto opened = (*plugin)->open({"bench", "c", 0, {}}, settings, stopping);
                need(opened.sink != nullptr, opened.reply.message);
                if (*connections == '1') {
                    all.add("bare COPY", cost_of([&] { bare_copy(table, kind.list, pieces); }));
                    database.run("TRUNCATE " + table);
                }
                all.add(std::string("sink, connections: ") + connections,
                        cost_of([&] { through_sink(*opened.sink, input); }));
                need(database.value("SELECT count(*) FROM " + table) == std::to_string(rows),
                     "rows are missing");
                opened.sink.reset();
                database.run("DROP TABLE " + table);
            }
        }
        all.print(rows, "bare COPY");
    }
    return 0;
}
