#include "daemon/cli/connection.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <exception>

#include "daemon/api/routes.hpp"
#include "daemon/control/client.hpp"
#include "daemon/kafka/cluster.hpp"

namespace sluice::cli {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

ErrorCode code_named(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::fatal); ++i) {
        const auto code = static_cast<ErrorCode>(i);
        if (name_of(code) == name) return code;
    }
    return ErrorCode::failed;
}

/// For answers without our "code" (a route that does not exist in an older daemon, for one).
ErrorCode code_of_status(int status) {
    switch (status) {
        case 400: return ErrorCode::invalid_argument;
        case 404: return ErrorCode::not_found;
        case 503: return ErrorCode::unavailable;
        default: return ErrorCode::failed;
    }
}

Result<json::object> read_answer(const control::Response& response) {
    boost::system::error_code not_json;
    json::value value = json::parse(response.body, not_json);
    if (not_json || !value.is_object()) {
        return Error{ErrorCode::failed, "the daemon answered " + std::to_string(response.status) +
                                            " with something that is no JSON object"};
    }
    json::object& object = value.as_object();
    if (response.status / 100 == 2) return std::move(object);
    Error error{code_of_status(response.status), "the daemon answered " + std::to_string(response.status)};
    if (const json::value* message = object.if_contains("message"); message && message->is_string()) {
        error.message = message->get_string().c_str();
    }
    if (const json::value* code = object.if_contains("code"); code && code->is_string()) {
        error.code = code_named(code->get_string().c_str());
    }
    if (const json::value* findings = object.if_contains("findings"); findings && findings->is_array()) {
        for (const auto& finding : findings->get_array()) {
            const json::value* text = finding.is_object() ? finding.get_object().if_contains("text") : nullptr;
            if (text && text->is_string()) error.message += "\n" + std::string(text->get_string());
        }
    }
    return error;
}

/// The daemon's own routes, without a daemon: dispatched here, over `store`.
control::Response dispatch_here(checkpoints::Store& store, std::shared_ptr<const config::Config> config,
                                control::Request request) {
    asio::thread_pool blocking(1);
    control::Router router;
    api::add_routes(router, api::ApiContext{.store = store,
                                            .config = [config] { return config; },
                                            .blocking = blocking});
    asio::io_context io;
    control::Response response;
    asio::co_spawn(io, router.dispatch(std::move(request)),
                   [&](std::exception_ptr thrown, control::Response answer) {
                       response = thrown ? control::error_response(500, "unexpected exception")
                                         : std::move(answer);
                   });
    io.run();
    blocking.join();
    return response;
}

/// Files that root creates in a data directory of the user `sluice` would lock its daemon out.
Result<void> check_owner(const std::filesystem::path& data_dir) {
    struct stat info {};
    if (::stat(data_dir.c_str(), &info) != 0) {
        return Error{ErrorCode::not_found,
                     "there is nothing to change: the data directory " + data_dir.string() +
                         " does not exist, so no daemon was ever started with this configuration"};
    }
    if (info.st_uid == ::geteuid()) return {};
    const passwd* owner = ::getpwuid(info.st_uid);
    const std::string name = owner != nullptr ? owner->pw_name : std::to_string(info.st_uid);
    return Error{ErrorCode::storage, "the data directory " + data_dir.string() + " belongs to " + name +
                                         ", whom files of another user would lock out: run this as " +
                                         name + " (sudo -u " + name + " sluice …)"};
}

}  // namespace

Connection::Connection(ConnectionOptions options) : options_(std::move(options)) {}
Connection::~Connection() = default;

std::filesystem::path Connection::config_path() const {
    if (options_.config) return *options_.config;
    if (const char* from_environment = std::getenv("SLUICE_CONFIG");
        from_environment != nullptr && *from_environment != '\0') {
        return from_environment;
    }
    return options_.default_config;
}

const config::Loaded& Connection::load() {
    if (!loaded_) {
        config::LoadOptions options;
        options.data_dir = options_.data_dir;
        options.plugin_dir = options_.plugin_dir;
        options.refuse_kafka_property = kafka::refuse_property;
        loaded_ = config::load(config_path(), options);
    }
    return *loaded_;
}

Result<std::shared_ptr<const config::Config>> Connection::configuration() {
    if (!load().config) return config::to_error(load());
    return std::make_shared<const config::Config>(*load().config);
}

Result<std::optional<std::filesystem::path>> Connection::daemon() {
    if (daemon_) return *daemon_;
    if (options_.socket) {
        daemon_ = options_.socket;
        return *daemon_;
    }
    const bool named = options_.config || options_.data_dir || config_path() != options_.default_config;
    std::error_code ignored;
    if (!named && std::filesystem::exists(options_.default_socket, ignored) &&
        control::call(options_.default_socket, "GET", "/health")) {
        daemon_ = options_.default_socket;
        return *daemon_;
    }
    SLUICE_TRY(const auto config, configuration());
    if (!std::filesystem::exists(config->data_dir, ignored)) {
        daemon_.emplace(std::nullopt);
        return *daemon_;
    }
    SLUICE_TRY(const auto owner, checkpoints::DirectoryLock::owner(config->data_dir));
    if (owner && owner->control_socket.empty()) {
        return Error{ErrorCode::locked, "another command (pid " + std::to_string(owner->pid) + " on " +
                                            owner->host + ") is at work in " +
                                            config->data_dir.string() + "; try again when it has ended",
                     true};
    }
    daemon_.emplace(owner ? std::optional<std::filesystem::path>(owner->control_socket) : std::nullopt);
    return *daemon_;
}

Result<std::unique_ptr<checkpoints::Store>> Connection::open(Effect effect) {
    SLUICE_TRY(const auto config, configuration());
    if (effect == Effect::looks) {
        auto store = checkpoints::open_store_for_reading(config->data_dir);
        // Never started: what there is to see is what an empty store shows.
        if (!store && store.error().code == ErrorCode::not_found) return checkpoints::make_memory_store();
        return store;
    }
    SLUICE_CHECK(check_owner(config->data_dir));
    char host[256] = "";
    (void)::gethostname(host, sizeof host - 1);
    SLUICE_TRY(auto lock, checkpoints::DirectoryLock::acquire(config->data_dir, {::getpid(), host, ""}));
    lock_ = std::move(lock);
    return checkpoints::open_store(config->data_dir);
}

Result<json::object> Connection::request(Effect effect, std::string_view method, std::string_view target,
                                         const json::object& body, Milliseconds timeout) {
    const std::string text = body.empty() ? "" : json::serialize(body);
    SLUICE_TRY(const auto socket, daemon());
    if (socket) {
        SLUICE_TRY(const auto response, control::call(*socket, method, target, text, timeout));
        return read_answer(response);
    }
    SLUICE_TRY(const auto config, configuration());
    if (!store_ || (effect == Effect::changes && opened_for_ == Effect::looks)) {
        store_.reset();
        SLUICE_TRY(store_, open(effect));
        opened_for_ = effect;
    }
    control::Request request;
    request.method = method;
    request.target = target;
    request.body = text;
    request.is_control = true;
    return read_answer(dispatch_here(*store_, config, std::move(request)));
}

}  // namespace sluice::cli
