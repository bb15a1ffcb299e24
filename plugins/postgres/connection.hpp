#pragma once
// One connection to the server, with a bound on every wait. The only place that knows libpq.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/postgres/errors.hpp"
#include "plugins/postgres/memory.hpp"
#include "plugins/postgres/options.hpp"
#include "sluice/sink.hpp"

struct pg_conn;
struct pg_result;

namespace sluice::plugins::postgres {

/// Throws std::invalid_argument when libpq cannot read it. Its text is never repeated: it may hold
/// a password.
void check_connection_string(const std::string& connection);

/// The rows of an answer as text; nullopt is NULL.
using Rows = std::vector<std::vector<std::optional<std::string>>>;

/// Confined to one thread at a time. Whatever fails throws ServerError; where it left the
/// connection useless, the connection is closed, and the server rolls back what was open.
class Connection {
 public:
    /// `options`, `host` and `memory` outlive it.
    Connection(const Options& options, Host host, std::string application, Memory& memory);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// With the settings that a batch needs, or not at all.
    void open();
    [[nodiscard]] bool is_open() const;
    void close() noexcept;

    /// One statement; several, divided by semicolons, when there are no parameters.
    Rows exec(const std::string& sql, const std::vector<std::string>& parameters = {});
    /// The same in two steps: what was sent may happen even when the answer is never heard.
    void send(const std::string& sql);
    Rows receive();

    [[nodiscard]] bool is_copying() const { return !copy_.empty(); }
    void copy_begin(const std::string& sql);
    /// Whole rows. Returns when the kernel has taken them. An error that the server has reported
    /// meanwhile is thrown here.
    void copy_put(std::string_view rows);
    void copy_end();

    /// Ends a COPY, if one is running, and the transaction without keeping either. Closes the
    /// connection rather than failing.
    void roll_back() noexcept;

 private:
    void connect();
    void wait_for(short events);
    void restart_clock();
    void flush();
    std::unique_ptr<pg_result, void (*)(pg_result*)> next_result();
    [[nodiscard]] bool has_input() const;
    [[noreturn]] void lost(const char* doing);
    [[noreturn]] void refused(const pg_result* result);

    const Options& options_;
    Host host_;
    std::string application_;
    Memory::Share held_;  // by libpq, estimated
    pg_conn* connection_ = nullptr;
    std::string copy_;  // the statement of the COPY that is running
    std::chrono::steady_clock::time_point since_;
};

}  // namespace sluice::plugins::postgres
