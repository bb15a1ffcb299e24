#pragma once
// The server that ctest started (tests/support/postgres.sh), for tests.

#include <string>
#include <vector>

struct pg_conn;

namespace sluice::test {

/// A connection of the test's own. Whatever fails throws std::runtime_error with the server's text.
class Database {
 public:
    /// $SLUICE_TEST_POSTGRES, else <build>/postgres/connection; throws, saying how to get one, when
    /// there is none: such a test fails, it is never skipped.
    Database();
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// As `connection` of a sink; `extra` are further URI parameters ("a=b&c=d").
    static std::string address(const std::string& user = "sluice", const std::string& extra = "");

    void run(const std::string& sql);
    std::vector<std::vector<std::string>> rows(const std::string& sql);  ///< NULL reads "NULL"
    std::string value(const std::string& sql);

    /// The server ends, or starts again. Connections, this one too, are gone; those of a killed server
    /// when they notice.
    enum class End {
        crash,  ///< as in a power cut
        fast,   ///< as a restart by hand: sessions are told
        kill,   ///< kill -9 of its first process, under its sessions
    };
    void crash_server(End how = End::crash);
    void start_server();

 private:
    void connect();
    pg_conn* connection_ = nullptr;
};

/// `name` with a suffix that no other test and no other run has.
std::string unique_table(const std::string& name);

}  // namespace sluice::test
