#include "plugins/postgres/connection.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <utility>

namespace sluice::plugins::postgres {
namespace {

/// libpq's texts end in line breaks, and hold some.
std::string one_line(const char* text) {
    std::string line = text == nullptr ? "" : text;
    while (!line.empty() && (line.back() == '\n' || line.back() == ' '))
        line.pop_back();
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

std::string field(const PGresult* result, int code) {
    return one_line(PQresultErrorField(result, code));
}

/// The longest a wait goes on once the pipeline is being stopped.
constexpr std::chrono::seconds patience_when_stopping{10};
constexpr int look_ms = 200;

}  // namespace

void check_connection_string(const std::string& connection) {
    char* error = nullptr;
    PQconninfoOption* const parsed = PQconninfoParse(connection.c_str(), &error);
    PQfreemem(error);
    if (parsed == nullptr)
        throw std::invalid_argument(
            "connection can be read neither as a URI (postgresql://user@host:5432/database) nor as "
            "words (host=… dbname=… user=…); special characters of a URI are written %XX");
    PQconninfoFree(parsed);
}

Connection::Connection(const Options& options, Host host, std::string application, Memory& memory)
    : options_(options), host_(host), application_(std::move(application)), held_(memory) {}

Connection::~Connection() {
    close();
}

bool Connection::is_open() const {
    return connection_ != nullptr;
}

void Connection::close() noexcept {
    if (connection_ != nullptr) PQfinish(connection_);
    connection_ = nullptr;
    copy_.clear();
    held_.set(0);
}

void Connection::restart_clock() {
    since_ = std::chrono::steady_clock::now();
}

void Connection::wait_for(short events) {
    while (true) {
        pollfd at{PQsocket(connection_), events, 0};
        const int ready = ::poll(&at, 1, look_ms);
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) lost("waiting for the server");
        const auto waited = std::chrono::steady_clock::now() - since_;
        if (waited < options_.timeout &&
            !(host_.stopping() && waited > std::chrono::nanoseconds(patience_when_stopping)))
            continue;
        close();
        throw ServerError(
            ErrorKind::retry, "",
            "no answer from the server in " +
                std::to_string(std::chrono::ceil<std::chrono::seconds>(waited).count()) +
                " s: it hangs, or `timeout` is too short for batches of this size");
    }
}

void Connection::connect() {
    const std::string seconds =
        std::to_string(std::chrono::ceil<std::chrono::seconds>(options_.connect_timeout).count());
    // What comes before dbname are defaults that `connection` may change; what comes behind it is
    // not.
    const std::array<const char*, 10> names{"keepalives_idle",
                                            "keepalives_interval",
                                            "keepalives_count",
                                            "tcp_user_timeout",
                                            "connect_timeout",
                                            "fallback_application_name",
                                            "dbname",
                                            "client_encoding",
                                            nullptr,
                                            nullptr};
    const std::array<const char*, 10> values{"30",
                                             "10",
                                             "3",
                                             "60000",
                                             seconds.c_str(),
                                             application_.c_str(),
                                             options_.connection.c_str(),
                                             "UTF8",
                                             nullptr,
                                             nullptr};
    connection_ = PQconnectStartParams(names.data(), values.data(), 1);
    if (connection_ == nullptr) throw std::bad_alloc();
    PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    // PQconnectPoll itself counts no time: connect_timeout is for the blocking calls.
    const auto deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(connection_) != CONNECTION_BAD) {
        pollfd at{PQsocket(connection_),
                  static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
        if (::poll(&at, 1, look_ms) > 0) status = PQconnectPoll(connection_);
        if (status == PGRES_POLLING_OK) return;
        if (status == PGRES_POLLING_FAILED) break;
        if (std::chrono::steady_clock::now() > deadline || host_.stopping()) {
            close();
            throw ServerError(ErrorKind::retry, "", "no connection within " + seconds + " s");
        }
    }
    const std::string message = one_line(PQerrorMessage(connection_));
    const std::string state = sqlstate_in(message);
    // libpq gives up by itself then, without a code: what is missing stays missing.
    const bool needs_password = PQconnectionNeedsPassword(connection_) != 0;
    close();
    if (needs_password)
        throw ServerError(ErrorKind::fatal, state,
                          message + ": the server asks for a password. Give one in `connection` "
                                    "(${credential:…}), or in libpq's own file");
    throw ServerError(kind_of(state), state, message + std::string(remedy_of(state)));
}

void Connection::open() {
    close();
    connect();
    PQsetnonblocking(connection_, 1);
    PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
    try {
        // A batch may take longer than what an interactive session is allowed, and the next one may
        // be hours away.
        exec(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
            "SET standard_conforming_strings = on; SET lock_timeout = " +
            std::to_string(options_.lock_timeout.count()) +
            "; SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
            // Those that not every server has: from 14, from 17 on.
            "; SELECT set_config(name, '0', false) FROM pg_settings "
            "WHERE name IN ('idle_session_timeout', 'transaction_timeout')"
            // A session whose daemon died must not hold its lock to the end of a long statement (>=
            // 14).
            "; SELECT set_config(name, '5s', false) FROM pg_settings "
            "WHERE name = 'client_connection_check_interval'");
    } catch (...) {
        close();  // the session lives, and is not what the caller asked for
        throw;
    }
}

void Connection::lost(const char* doing) {
    const std::string message = one_line(PQerrorMessage(connection_));
    const std::string state = sqlstate_in(message);
    close();
    throw ServerError(ErrorKind::retry, state,
                      "the connection was lost while " + std::string(doing) +
                          (message.empty() ? "" : ": " + message));
}

void Connection::refused(const PGresult* result) {
    const std::string state = field(result, PG_DIAG_SQLSTATE);
    const std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    const std::string context = field(result, PG_DIAG_CONTEXT);
    std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (message.empty()) message = one_line(PQresultErrorMessage(result));
    if (!detail.empty()) message += " (" + detail + ')';
    if (const std::string column = field(result, PG_DIAG_COLUMN_NAME); !column.empty())
        message += ", column " + column;
    if (!state.empty()) message += " [SQLSTATE " + state + ']';
    message += remedy_of(state);
    throw ServerError(kind_of(state), state, message, line_of(context));
}

void Connection::flush() {
    while (true) {
        const int left = PQflush(connection_);
        if (left < 0) lost("sending");
        if (left == 0) return;
        wait_for(POLLIN | POLLOUT);
        if (PQconsumeInput(connection_) == 0) lost("sending");
    }
}

std::unique_ptr<PGresult, void (*)(PGresult*)> Connection::next_result() {
    while (PQisBusy(connection_) != 0) {
        wait_for(POLLIN);
        if (PQconsumeInput(connection_) == 0) lost("waiting for an answer");
    }
    return {PQgetResult(connection_), &PQclear};
}

void Connection::send(const std::string& sql) {
    if (connection_ == nullptr) throw ServerError(ErrorKind::retry, "", "the connection was lost");
    restart_clock();
    if (PQsendQuery(connection_, sql.c_str()) == 0) lost("sending a statement");
    flush();
}

Rows Connection::receive() {
    Rows rows;
    std::optional<ServerError> error;
    while (const auto result = next_result()) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN) return rows;  // its result comes after copy_end()
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
            status != PGRES_EMPTY_QUERY) {
            try {
                refused(result.get());
            } catch (const ServerError& refusal) {
                if (!error) error = refusal;
            }
            continue;
        }
        rows.clear();
        for (int row = 0; row < PQntuples(result.get()); ++row) {
            auto& columns = rows.emplace_back();
            for (int column = 0; column < PQnfields(result.get()); ++column) {
                if (PQgetisnull(result.get(), row, column) != 0) {
                    columns.emplace_back();
                } else {
                    columns.emplace_back(PQgetvalue(result.get(), row, column));
                }
            }
        }
    }
    if (PQstatus(connection_) == CONNECTION_BAD) {
        // Ended by the server (57P01 and the like), or by the network.
        const std::string message = error ? error->what() : one_line(PQerrorMessage(connection_));
        const std::string state = error ? error->sqlstate() : "";
        close();
        throw ServerError(ErrorKind::retry, state, "the connection was lost: " + message);
    }
    if (error) throw *error;
    return rows;
}

Rows Connection::exec(const std::string& sql, const std::vector<std::string>& parameters) {
    if (parameters.empty()) {
        send(sql);
        return receive();
    }
    if (connection_ == nullptr) throw ServerError(ErrorKind::retry, "", "the connection was lost");
    std::vector<const char*> values;
    for (const std::string& parameter : parameters)
        values.push_back(parameter.c_str());
    restart_clock();
    if (PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                          values.data(), nullptr, nullptr, 0) == 0)
        lost("sending a statement");
    flush();
    return receive();
}

void Connection::copy_begin(const std::string& sql) {
    send(sql);
    receive();
    copy_ = sql;
}

bool Connection::has_input() const {
    pollfd at{PQsocket(connection_), POLLIN, 0};
    return ::poll(&at, 1, 0) > 0;
}

void Connection::copy_put(std::string_view rows) {
    if (connection_ == nullptr) throw ServerError(ErrorKind::retry, "", "the connection was lost");
    if (has_input()) {
        // During a COPY the server speaks when something is wrong, or to notify. libpq tells which
        // at the end only: so end it, and go on in another.
        const std::string sql = copy_;
        copy_end();
        copy_begin(sql);
    }
    restart_clock();
    constexpr std::size_t beside = 8 * 1024;  // what may be left of the last piece
    while (!rows.empty()) {
        const std::string_view piece = rows.substr(0, options_.copy_piece_max);
        // libpq keeps what the socket does not take, in a buffer that doubles and never shrinks.
        held_.at_least(std::bit_ceil(piece.size() + beside));
        const int put = PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size()));
        if (put < 0) lost("copying rows");
        flush();
        if (put > 0) rows.remove_prefix(piece.size());
    }
}

void Connection::copy_end() {
    copy_.clear();
    restart_clock();
    while (true) {
        const int ended = PQputCopyEnd(connection_, nullptr);
        if (ended < 0) lost("ending a copy");
        flush();
        if (ended > 0) break;
    }
    receive();
}

void Connection::roll_back() noexcept {
    if (connection_ == nullptr) return;
    try {
        if (!copy_.empty()) {
            copy_.clear();
            restart_clock();
            if (PQputCopyEnd(connection_, "the batch is aborted") <= 0) lost("ending a copy");
            flush();
            try {
                receive();
            } catch (const ServerError&) {
                if (connection_ == nullptr) return;  // else the refusal that was asked for
            }
        }
        if (PQtransactionStatus(connection_) != PQTRANS_IDLE) exec("ROLLBACK");
    } catch (const std::exception&) {
        close();
    }
}

}  // namespace sluice::plugins::postgres
