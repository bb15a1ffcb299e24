// The sink beside a bare COPY of the same rows, in one run; prints ratios and asserts nothing.
//   tests/support/postgres.sh start DIR && SLUICE_TEST_POSTGRES=$(cat DIR/connection)
//   bench_postgres [ROWS]
// (SLUICE_TEST_FSYNC=on for `start` makes commits wait for the disk, as a real server does.)

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "daemon/sink/plugin.hpp"
#include "plugins/postgres/row_encoder.hpp"
#include "tests/integration/postgres/database.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int partitions = 4;
constexpr std::size_t chunk = 1000;

/// Records as a topic has them: 100 bytes of JSON, four partitions.
struct Input {
    explicit Input(std::int64_t count) {
        const std::int64_t each = count / partitions;
        for (int p = 0; p < partitions; ++p) {
            auto& texts = values.emplace_back();
            auto& made = records.emplace_back();
            for (std::int64_t i = 0; i < each; ++i)
                texts.push_back("{\"id\":" + std::to_string(i * partitions + p) +
                                ",\"customer\":\"customer " + std::to_string(i * 7919 % 100'000) +
                                "\",\"amount\":" + std::to_string(i % 997) + ",\"note\":\"" +
                                std::string(30, 'x') + "\"}");
            for (std::int64_t i = 0; i < each; ++i) {
                const std::string& text = texts[static_cast<std::size_t>(i)];
                made.push_back({{reinterpret_cast<const std::uint8_t*>("key"), 3},
                                {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                                SLUICE_STRING("orders"),
                                i,
                                1'700'000'000'000 + i,
                                p,
                                SLUICE_TIMESTAMP_CREATE,
                                nullptr});
            }
        }
    }
    std::vector<std::vector<std::string>> values;
    std::vector<std::vector<sluice_record>> records;
};

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void need(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

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

void through_sink(sink::Sink& sink, std::uint64_t batch, const Input& input) {
    std::vector<sink::Range> ranges;
    for (int p = 0; p < partitions; ++p)
        ranges.push_back({"orders", p, static_cast<std::uint32_t>(p), 0,
                          static_cast<std::int64_t>(input.records[0].size()), "t"});
    need(sink.begin({batch, false, ranges}).status == sink::Status::ok, "begin");
    std::vector<std::thread> threads;
    for (const auto& range : ranges)
        threads.emplace_back([&sink, &range, &input] {
            auto writer = sink.open_writer(range).writer;
            const auto& records = input.records[range.index];
            for (std::size_t at = 0; at < records.size(); at += chunk) {
                const std::size_t size = std::min(chunk, records.size() - at);
                need(writer->write({records.data() + at, size}).status == sink::Status::ok,
                     "write");
            }
            need(writer->close(true).status == sink::Status::ok, "close");
        });
    for (auto& thread : threads)
        thread.join();
    const auto committed = sink.commit(batch);
    need(committed.status == sink::Status::ok, committed.message.c_str());
}

}  // namespace

int main(int count, char** arguments) {
    const std::int64_t rows = count > 1 ? std::atoll(arguments[1]) : 1'000'000;
    const Input input(rows);
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
        const double encoding = seconds([&] {
            for (const auto& records : input.records)
                for (const sluice_record& record : records) {
                    need(encoder.append(pieces.back(), Record(record), {nullptr, 0}, reason),
                         "row");
                    if (pieces.back().size() >= 256 * 1024) pieces.emplace_back();
                }
        });
        std::printf("%s, %lld rows: encoding alone %.2f s\n", kind.name,
                    static_cast<long long>(rows), encoding);
        sink::Settings settings{{"connection", Database::address()}, {"createTable", "true"}};
        if (*kind.columns != '\0') settings["columns"] = kind.columns;
        std::map<std::string, std::vector<double>> times;
        static const std::atomic<bool> stopping{false};
        for (int round = 0; round < 3;
             ++round) {  // interleaved: what the machine does hits all alike
            for (const char* connections : {"1", "2"}) {
                const std::string table = unique_table("bench");
                settings["table"] = table;
                settings["connections"] = connections;
                auto opened = (*plugin)->open({"bench", "c", 0, {}}, settings, stopping);
                need(opened.sink != nullptr, opened.reply.message.c_str());
                if (*connections == '1') {
                    times["bare COPY"].push_back(
                        seconds([&] { bare_copy(table, kind.list, pieces); }));
                    database.run("TRUNCATE " + table);
                }
                times[std::string("sink, connections: ") + connections].push_back(
                    seconds([&] { through_sink(*opened.sink, 0, input); }));
                need(database.value("SELECT count(*) FROM " + table) == std::to_string(rows),
                     "rows are missing");
                opened.sink.reset();
                database.run("DROP TABLE " + table);
            }
        }
        const auto median = [](std::vector<double> all) {
            std::sort(all.begin(), all.end());
            return all[all.size() / 2];
        };
        const double bare = median(times["bare COPY"]);
        for (const auto& [name, all] : times)
            std::printf("  %-22s %.2f s  %.0f rows/s  ratio %.2f\n", name.c_str(), median(all),
                        static_cast<double>(rows) / median(all), bare / median(all));
    }
    return 0;
}
