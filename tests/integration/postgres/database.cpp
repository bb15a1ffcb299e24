#include "tests/integration/postgres/database.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace sluice::test {
namespace {

const std::string folder = std::string(SLUICE_TEST_BINARY_DIR) + "/postgres";

std::string base_address() {
    if (const char* const given = std::getenv("SLUICE_TEST_POSTGRES")) return given;
    std::ifstream in(folder + "/connection");
    std::string text;
    std::getline(in, text);
    if (text.empty())
        throw std::runtime_error(
            "no PostgreSQL for this test: `ctest` starts one (tests/support/postgres.sh); or say "
            "SLUICE_TEST_POSTGRES=postgresql://user@host:port/database");
    return text;
}

void script(const std::string& what) {
    const std::string command =
        std::string(SLUICE_TEST_SOURCE_DIR) + "/tests/support/postgres.sh " + what + ' ' + folder;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

}  // namespace

Database::Database() {
    connect();
}

Database::~Database() {
    PQfinish(connection_);
}

std::string Database::address(const std::string& user, const std::string& extra) {
    std::string text = base_address();
    const std::size_t at = text.find("//sluice@");
    if (at != std::string::npos) text.replace(at, 9, "//" + user + '@');
    return extra.empty() ? text : text + '?' + extra;
}

void Database::connect() {
    PQfinish(connection_);
    connection_ = PQconnectdb(base_address().c_str());
    if (PQstatus(connection_) != CONNECTION_OK)
        throw std::runtime_error(PQerrorMessage(connection_));
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
}

std::vector<std::vector<std::string>> Database::rows(const std::string& sql) {
    PGresult* const result = PQexec(connection_, sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        const std::string error = sql + ": " + PQerrorMessage(connection_);
        PQclear(result);
        throw std::runtime_error(error);
    }
    std::vector<std::vector<std::string>> found;
    for (int row = 0; row < PQntuples(result); ++row) {
        auto& columns = found.emplace_back();
        for (int column = 0; column < PQnfields(result); ++column)
            columns.emplace_back(
                PQgetisnull(result, row, column) != 0 ? "NULL" : PQgetvalue(result, row, column));
    }
    PQclear(result);
    return found;
}

void Database::run(const std::string& sql) {
    (void)rows(sql);
}

std::string Database::value(const std::string& sql) {
    const auto found = rows(sql);
    return found.empty() || found[0].empty() ? "" : found[0][0];
}

void Database::crash_server(End how) {
    script(how == End::crash ? "crash" : how == End::fast ? "fast" : "kill");
}

void Database::start_server() {
    script("up");
    connect();
}

std::string unique_table(const std::string& name) {
    static std::atomic<int> count{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return name + '_' + std::to_string(getpid()) + '_' +
           std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) +
           '_' + std::to_string(count++);
}

}  // namespace sluice::test
