#include "daemon/control/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <optional>
#include <set>

#include "daemon/base/log.hpp"
#include "daemon/control/session.hpp"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// Connections that are being told to come back later, at once and per listener; further ones are
/// closed without a word.
constexpr std::size_t refusals_max = 16;
constexpr std::chrono::milliseconds accept_pause{100};

/// For coroutines whose end nobody waits for; they handle their own errors, so this is a bug's voice.
auto report(const char* what) {
    return [what](const std::exception_ptr& thrown) {
        if (!thrown) return;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& error) {
            log::error("control server", {{"in", what}, {"error", error.what()}});
        } catch (...) {
            log::error("control server", {{"in", what}, {"error", "not a std::exception"}});
        }
    };
}

struct Listener {
    Acceptor acceptor;
    std::string name;                 ///< address or path, for the log
    std::optional<HostGuard> guard;   ///< none for the control socket
    std::filesystem::path path;       ///< empty for TCP
    FileIdentity file;
    std::size_t connections = 0;
    std::size_t refusals = 0;
};

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(const asio::any_io_executor& executor, Router the_router, Limits the_limits)
        : strand(asio::make_strand(executor)),
          router(std::move(the_router)),
          limits(the_limits),
          drained(strand) {}

    void start(std::shared_ptr<Listener> listener) {
        log::info("listening", {{"at", listener->name}});
        listeners.push_back(listener);
        asio::co_spawn(strand, accept_all(shared_from_this(), std::move(listener)),
                       report("accept"));
    }

    static asio::awaitable<void> accept_all(std::shared_ptr<State> self,
                                            std::shared_ptr<Listener> listener) {
        asio::steady_timer pause(self->strand);
        while (!self->stopping) {
            error_code failed;
            Socket socket{asio::any_io_executor(self->strand)};
            co_await listener->acceptor.async_accept(
                socket, asio::redirect_error(asio::use_awaitable, failed));
            if (self->stopping) break;
            if (failed) {
                // Out of descriptors, most likely: what is connected goes on, and frees some.
                log::warning("connection not accepted",
                             {{"at", listener->name}, {"error", failed.message()}});
                pause.expires_after(accept_pause);
                co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
                continue;
            }
            self->take(listener, std::move(socket));
        }
    }

    void take(const std::shared_ptr<Listener>& listener, Socket socket) {
        if (listener->connections >= limits.connections_max) {
            if (listener->refusals >= refusals_max) return;
            asio::co_spawn(strand, turn_away(shared_from_this(), listener, std::move(socket)),
                           report("refuse"));
            ++listener->refusals;
            return;
        }
        ++listener->connections;
        asio::co_spawn(strand, hold(shared_from_this(), listener, std::move(socket)),
                       report("session"));
    }

    static asio::awaitable<void> turn_away(std::shared_ptr<State> self,
                                           std::shared_ptr<Listener> listener, Socket socket) {
        (void)self;  // kept alive: the stream's strand is the server's
        co_await refuse(Stream(std::move(socket)));
        --listener->refusals;
    }

    static asio::awaitable<void> hold(std::shared_ptr<State> self,
                                      std::shared_ptr<Listener> listener, Socket socket) {
        Session session{Stream(std::move(socket)),
                        self->router,
                        self->limits,
                        listener->guard ? &*listener->guard : nullptr,
                        self->stopping};
        self->sessions.insert(&session);
        std::exception_ptr thrown;
        try {
            co_await serve(session);
        } catch (...) {
            thrown = std::current_exception();
        }
        self->sessions.erase(&session);
        --listener->connections;
        if (self->sessions.empty()) self->drained.cancel();
        if (thrown) std::rethrow_exception(thrown);
    }

    void close(Listener& listener) noexcept {
        error_code ignored;
        listener.acceptor.close(ignored);
        // Another daemon may have replaced the file meanwhile: then it is not ours to remove.
        if (!listener.path.empty() && identity_of(listener.path) == listener.file) {
            ::unlink(listener.path.c_str());
        }
        listener.path.clear();
    }

    static asio::awaitable<void> drain(std::shared_ptr<State> self, Milliseconds grace) {
        self->stopping = true;
        for (const auto& listener : self->listeners) self->close(*listener);
        for (Session* session : self->sessions) {
            if (session->is_idle) session->stream.cancel();
        }
        if (!self->sessions.empty()) {
            error_code ignored;
            self->drained.expires_after(grace);
            co_await self->drained.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        for (Session* session : self->sessions) session->stream.close();
    }

    asio::strand<asio::any_io_executor> strand;
    Router router;
    Limits limits;
    asio::steady_timer drained;  ///< cancelled when the last session ends
    std::vector<std::shared_ptr<Listener>> listeners;  ///< shared with their accept loops
    std::set<Session*> sessions;
    bool stopping = false;
    std::uint16_t port = 0;
};

Server::Server(const asio::any_io_executor& executor, Router router, Limits limits)
    : state_(std::make_shared<State>(executor, std::move(router), limits)) {}

Server::~Server() {
    state_->stopping = true;
    for (const auto& listener : state_->listeners) state_->close(*listener);
}

Result<void> Server::listen_tcp(std::string_view address, std::vector<std::string> host_names) {
    SLUICE_TRY(const auto endpoint, parse_tcp_address(address));
    SLUICE_TRY(Acceptor acceptor, open_tcp(asio::any_io_executor(state_->strand), endpoint));
    error_code failed;
    const Protocol::endpoint bound = acceptor.local_endpoint(failed);
    if (failed) {
        return Error{ErrorCode::failed, "can't tell the port of " + std::string(address) + ": " +
                                            failed.message()};
    }
    asio::ip::tcp::endpoint local;
    std::memcpy(local.data(), bound.data(), std::min(bound.size(), local.capacity()));
    state_->port = local.port();

    auto listener = std::make_shared<Listener>(Listener{
        std::move(acceptor), to_string(local),
        HostGuard(endpoint.address().to_string(), std::move(host_names)), {}, {}});
    state_->start(std::move(listener));
    return {};
}

Result<void> Server::listen_unix(const std::filesystem::path& path, const std::string& group) {
    SLUICE_TRY(Acceptor acceptor, open_unix(asio::any_io_executor(state_->strand), path, group));
    state_->start(std::make_shared<Listener>(Listener{std::move(acceptor), path.string(),
                                                      std::nullopt, path, identity_of(path)}));
    return {};
}

std::uint16_t Server::tcp_port() const noexcept { return state_->port; }

asio::awaitable<void> Server::stop(Milliseconds grace) {
    co_await asio::co_spawn(state_->strand, State::drain(state_, grace), asio::use_awaitable);
}

}  // namespace sluice::control
