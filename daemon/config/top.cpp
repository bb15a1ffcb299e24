// The keys outside the pipelines: where things are kept, what may be used, who may listen.

#include <arpa/inet.h>

#include "daemon/base/text.hpp"
#include "daemon/config/machine.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

constexpr std::int64_t mib = 1LL << 20;
constexpr std::int64_t minute_ms = 60'000;
constexpr std::int64_t day_ms = 24 * 60 * minute_ms;
constexpr char proc_cgroup[] = "/proc/self/cgroup";
constexpr char cgroup_mount[] = "/sys/fs/cgroup";

/// Why `address` is no "host:port" to listen on, or nullopt.
std::optional<std::string> refuse_listen(std::string_view address) {
    const std::size_t colon = address.rfind(':');
    const std::string_view host = address.substr(0, colon);
    if (colon == std::string_view::npos) return "the port is missing";
    const auto port = parse_int64(address.substr(colon + 1));
    if (!port || *port < 0 || *port > 65535) return "the port must be 0 to 65535";
    if (host.empty()) return "the address is missing; 0.0.0.0 and [::] are all addresses";
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const std::string plain(is_bracketed ? host.substr(1, host.size() - 2) : host);
    in6_addr parsed{};  // room for either
    if (inet_pton(is_bracketed ? AF_INET6 : AF_INET, plain.c_str(), &parsed) == 1) return std::nullopt;
    if (host.find(':') != std::string_view::npos && !is_bracketed) return "an IPv6 address stands in brackets";
    return "not a numeric address; names are not resolved";
}

void set_listen(Context& context, const Value& value, Config& config) {
    if (const auto why = refuse_listen(value.text)) {
        context.findings.error(
            value.node->at, value.path,
            quoted(*value.node) + ": " + *why + "; write it as 127.0.0.1:8083 or [::1]:8083");
        return;
    }
    config.http_listen = value.text;
}

void set_http(Context& context, const Value& value, Config& config) {
    const Node& node = *value.node;
    if (node.is_scalar()) {
        if (node.text == "off") {
            config.http_listen.reset();
        } else {
            context.findings.error(node.at, value.path,
                                   quoted(node) + " is not accepted: write off or {listen: "
                                                  "127.0.0.1:8083}");
        }
        return;
    }
    read_section(context, node, value.path, http_keys(), config);
    const bool is_loopback = config.http_listen && (config.http_listen->starts_with("127.") ||
                                                    config.http_listen->starts_with("[::1]"));
    if (config.http_write == "open" && config.http_listen && !is_loopback) {
        context.findings.warning(node.at, join_path(value.path, "write"),
                                 "open lets everybody who reaches this address change pipelines");
    }
}

constexpr Key<Config> top_table[] = {
    {{.name = "dataDir",
      .type = Type::path,
      .default_note = "`$STATE_DIRECTORY`, else `/var/lib/sluice`",
      .sentence = "Directory of the checkpoints; one daemon at a time, and no sink writes inside it."},
     [](Context&, const Value& value, Config& config) { config.data_dir = value.text; }},
    {{.name = "pluginDir",
      .type = Type::path,
      .default_note = "`../lib/sluice` beside the program, else the installed one",
      .sentence = "Directory of the sink plugins."},
     [](Context&, const Value& value, Config& config) { config.plugin_dir = value.text; }},
    {{.name = "http",
      .type = Type::nested,
      .default_value = "{}",
      .form = "`off` or a map, see below",
      .sentence = "The HTTP interface: status, metrics, health."},
     set_http},
    {{.name = "controlSocket",
      .type = Type::path,
      .default_note = "`control.sock` in `$RUNTIME_DIRECTORY`, else in `dataDir`",
      .sentence = "Unix socket on which the command `sluice` reaches the daemon."},
     [](Context&, const Value& value, Config& config) { config.control_socket = value.text; }},
    {{.name = "workers",
      .type = Type::integer,
      .default_value = "auto",
      .words = "auto",
      .minimum = 1,
      .maximum = 1024,
      .sentence = "Threads that read ranges and call sinks; auto is one per processor available."},
     [](Context&, const Value& value, Config& config) {
         config.workers = value.word == "auto" ? auto_workers(proc_cgroup, cgroup_mount)
                                               : static_cast<int>(value.number);
     }},
    {{.name = "memoryMax",
      .type = Type::size,
      .default_value = "512MiB",
      .words = "auto",
      .minimum = 32 * mib,
      .sentence = "Bound for the whole process: half of it for what consumers have fetched, a quarter for the buffers of "
                  "sinks, divided among the pipelines, the rest for what is in flight; auto follows the cgroup's limit."},
     [](Context&, const Value& value, Config& config) {
         config.memory_max = value.word == "auto"
                                 ? auto_memory_max(cgroup_memory_limit(proc_cgroup, cgroup_mount))
                                 : static_cast<std::uint64_t>(value.number);
     }},
    {{.name = "consumers",
      .type = Type::nested,
      .default_value = "{}",
      .form = "a map, see below",
      .sentence = "The pool of Kafka consumers."},
     [](Context& context, const Value& value, Config& config) {
         read_section(context, *value.node, value.path, consumers_keys(), config);
     }},
    {{.name = "history",
      .type = Type::nested,
      .default_value = "{}",
      .form = "a map, see below",
      .sentence = "How long committed batches are remembered; losses and operator actions are kept "
                  "for ever."},
     [](Context& context, const Value& value, Config& config) {
         read_section(context, *value.node, value.path, history_keys(), config);
     }},
    {{.name = "shutdownTimeout",
      .type = Type::duration,
      .default_value = "30s",
      .minimum = 0,
      .maximum = 60 * minute_ms,
      .sentence = "Time that running batches get to commit after SIGTERM, before they are aborted."},
     [](Context&, const Value& value, Config& config) {
         config.shutdown_timeout = Milliseconds{value.number};
     }},
    {{.name = "pipelines",
      .type = Type::nested,
      .required = true,
      .form = "a list of maps, see below",
      .sentence = "The pipelines; those of all files of a directory add up."},
     nullptr},
};

constexpr Key<Config> http_table[] = {
    {{.name = "listen",
      .type = Type::text,
      .default_value = "127.0.0.1:8083",
      .sentence = "Address and port to listen on; port 0 takes any that is free."},
     set_listen},
    {{.name = "write",
      .type = Type::choice,
      .default_value = "off",
      .words = "off|open",
      .sentence = "Whether anything may be changed over HTTP: off leaves it read-only, on loopback too; open lets "
                  "everybody who reaches the address.",
      .hint = "changes go through the control socket (the command sluice), or through HTTP with open, meant for "
              "loopback: neither tokens nor client certificates can be asked for yet"},
     [](Context&, const Value& value, Config& config) { config.http_write = value.text; }},
};

constexpr Key<Config> consumers_table[] = {
    {{.name = "capacity",
      .type = Type::integer,
      .default_value = "16",
      .minimum = 1,
      .maximum = 1024,
      .sentence = "Most Kafka consumers at one time, idle ones included. Up to half are kept for pipelines that have none."},
     [](Context&, const Value& value, Config& config) {
         config.consumers_capacity = static_cast<int>(value.number);
     }},
    {{.name = "idleTimeout",
      .type = Type::duration,
      .default_value = "5m",
      .minimum = 1000,
      .maximum = day_ms,
      .sentence = "A consumer that nobody used for this long is closed."},
     [](Context&, const Value& value, Config& config) {
         config.consumers_idle_timeout = Milliseconds{value.number};
     }},
};

constexpr Key<Config> history_table[] = {
    {{.name = "age",
      .type = Type::duration,
      .default_value = "31d",
      .minimum = minute_ms,
      .maximum = 3650 * day_ms,
      .sentence = "Committed batches older than this are forgotten."},
     [](Context&, const Value& value, Config& config) {
         config.history_age = Milliseconds{value.number};
     }},
    {{.name = "size",
      .type = Type::size,
      .default_value = "256MiB",
      .minimum = mib,
      .sentence = "The oldest committed batches are forgotten beyond this much."},
     [](Context&, const Value& value, Config& config) {
         config.history_size = static_cast<std::uint64_t>(value.number);
     }},
};

}  // namespace

std::span<const Key<Config>> top_keys() { return top_table; }
std::span<const Key<Config>> http_keys() { return http_table; }
std::span<const Key<Config>> consumers_keys() { return consumers_table; }
std::span<const Key<Config>> history_keys() { return history_table; }

}  // namespace sluice::config
