#pragma once
// Who answers: the running daemon through its control socket, or, when none runs, the same routes in
// this process over the store. Never the store of a running daemon behind its back.

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoints/store.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"

namespace sluice::cli {

struct ConnectionOptions {
    std::optional<std::filesystem::path> config;    ///< --config; else $SLUICE_CONFIG, else the default
    std::optional<std::filesystem::path> data_dir;  ///< --data-dir
    std::optional<std::filesystem::path> plugin_dir;
    std::optional<std::filesystem::path> socket;    ///< --socket: that daemon, and no other way
    /// Asked first when no configuration is named: its daemon may run under another user, with
    /// credentials that only its unit has.
    std::filesystem::path default_socket = "/run/sluice/control.sock";
    std::filesystem::path default_config = "/etc/sluice/sluice.yaml";
};

/// What a request does to the store, so that an offline one takes the lock only when it must.
enum class Effect { looks, changes };

class Connection {
 public:
    explicit Connection(ConnectionOptions options);
    ~Connection();

    /// Sends one request; `target` is encoded. The body of a 2xx answer.
    /// Errors: what the other side answered, with its code; `unavailable` when a daemon that should
    /// answer doesn't, or where only a daemon could; `locked` while another command holds the data
    /// directory; `configuration` with all findings.
    Result<boost::json::object> request(Effect effect, std::string_view method,
                                        std::string_view target, const boost::json::object& body = {},
                                        Milliseconds timeout = Milliseconds{120'000});

    /// The configuration's file or directory.
    [[nodiscard]] std::filesystem::path config_path() const;
    /// Loads (once) and checks the configuration; findings are part of the answer.
    const config::Loaded& load();

 private:
    /// The daemon's control socket; nullopt when none runs. Looked for once.
    Result<std::optional<std::filesystem::path>> daemon();
    Result<std::shared_ptr<const config::Config>> configuration();
    Result<std::unique_ptr<checkpoints::Store>> open(Effect effect);

    ConnectionOptions options_;
    std::optional<config::Loaded> loaded_;
    std::optional<std::optional<std::filesystem::path>> daemon_;
    // Opened at the first request that needs them, kept for the following ones.
    std::optional<checkpoints::DirectoryLock> lock_;
    std::unique_ptr<checkpoints::Store> store_;
    std::optional<Effect> opened_for_;
};

}  // namespace sluice::cli
