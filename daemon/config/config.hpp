#pragma once
// A checked configuration, as the rest of the daemon sees it: plain values, no YAML, no references
// left to resolve but those of secrets that are read again at reconnect.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::config {

/// A number, or `auto`, or (where said) `unlimited`.
struct Auto { bool operator==(const Auto&) const = default; };
struct Unlimited { bool operator==(const Unlimited&) const = default; };
using Limit = std::variant<Auto, Unlimited, std::int64_t>;

struct Topics { std::vector<std::string> names; bool operator==(const Topics&) const = default; };
struct TopicPattern { std::string regex; bool operator==(const TopicPattern&) const = default; };
struct Assignment { std::map<std::string, std::vector<std::int32_t>> partitions; bool operator==(const Assignment&) const = default; };
using Subscription = std::variant<Topics, TopicPattern, Assignment>;

struct Earliest { bool operator==(const Earliest&) const = default; };
struct Latest { bool operator==(const Latest&) const = default; };
struct AtOffsets { std::map<std::string, std::map<std::int32_t, std::int64_t>> offsets; bool operator==(const AtOffsets&) const = default; };  // -1 latest, -2 earliest
struct AtTimestamp { WallTime timestamp; bool fail_on_no_match = true; bool operator==(const AtTimestamp&) const = default; };
struct FromGroup { std::string group; bool operator==(const FromGroup&) const = default; };
using StartingOffsets = std::variant<Earliest, Latest, AtOffsets, AtTimestamp, FromGroup>;

struct Source {
    /// librdkafka properties without their `kafka.` prefix, secrets resolved, our own not yet added.
    std::map<std::string, std::string> kafka;
    /// Those of them that held references, as written: "${file:/run/secrets/kafka}". See
    /// resolve_again().
    std::map<std::string, std::string> kafka_references;
    Subscription subscription;
    StartingOffsets starting_offsets;
    Limit max_offsets_per_trigger = Auto{};
    std::optional<std::uint64_t> max_bytes_per_trigger;
    std::optional<std::int64_t> min_offsets_per_trigger;
    Milliseconds max_trigger_delay{900'000};
    std::optional<Limit> max_records_per_partition;  ///< nullopt = not set
    std::optional<Limit> min_partitions;
    bool fail_on_data_loss = true;
    std::string isolation_level = "read_committed";
    int fetch_offset_retries = 3;  ///< attempts of an offset look-up within one trigger
    Milliseconds fetch_offset_retry_interval{1000};

    bool operator==(const Source&) const = default;
};

enum class TriggerKind { processing_time, available_now, once };
struct Trigger {
    TriggerKind kind = TriggerKind::processing_time;
    Milliseconds interval{10'000};

    bool operator==(const Trigger&) const = default;
};

struct Sink {
    std::string plugin;
    sink::Settings settings;  ///< canonical, defaults filled in
    /// The settings the plugin requires, without secrets: a receipt is handed back to the same only.
    /// Empty when it requires none.
    std::string target;
    /// What the plugin says it writes to (sink.h's target()); empty where it does not. It may change while
    /// the output stays what it is, as a server's name does, so nothing that is kept depends on it.
    std::string place{};

    /// What no two pipelines may write to; empty: any number may use it.
    [[nodiscard]] std::string claimed() const { return place.empty() ? target : plugin + ' ' + place; }

    bool operator==(const Sink&) const = default;
};

struct Errors {
    enum class Tolerance { none, all };
    Tolerance tolerance = Tolerance::none;
    std::optional<std::string> dead_letter_topic;
    std::optional<std::filesystem::path> dead_letter_path;
    /// nullopt = by trigger: for ever under processingTime, 15 min under availableNow and once.
    std::optional<Milliseconds> retry_timeout;
    Milliseconds retry_delay_max{60'000};
    Milliseconds restart_delay_max{3'600'000};  ///< 0 = a pipeline that FAILED waits for a person

    bool operator==(const Errors&) const = default;
};

struct Pipeline {
    std::string name;
    std::optional<std::string> renamed_from;
    Source source;
    Trigger trigger;
    Sink sink;
    Errors errors;
    std::optional<std::string> export_group;
    Milliseconds stalled_after{60'000};

    bool operator==(const Pipeline&) const = default;
};

struct Config {
    std::filesystem::path data_dir = "/var/lib/sluice";
    std::filesystem::path plugin_dir;
    std::optional<std::string> http_listen;  ///< "127.0.0.1:8083"; nullopt = no HTTP
    std::string http_write = "off";          ///< off | open
    std::filesystem::path control_socket;    ///< default: $RUNTIME_DIRECTORY or data_dir, "control.sock"
    int workers = 0;                         ///< resolved from `auto`
    std::uint64_t memory_max = 512ULL << 20;
    int consumers_capacity = 16;
    Milliseconds consumers_idle_timeout{300'000};
    Milliseconds history_age{31LL * 24 * 3600 * 1000};
    std::uint64_t history_size = 256ULL << 20;
    Milliseconds shutdown_timeout{30'000};
    std::vector<Pipeline> pipelines;
    /// What the references of kafka.* properties and of text, JSON and secret options of sinks stood
    /// for, and secrets written out: for redaction, never printed. Topics, paths and numbers are
    /// not among them: they stand in plans, logs and metrics.
    std::vector<std::string> secrets;
};

/// One thing wrong (or, as a warning, doubtful) in a configuration.
struct Finding {
    std::string file;
    int line = 0;    ///< from 1; 0 when it concerns the file as a whole
    int column = 0;
    std::string path;     ///< "pipelines[0].source.maxOffsetsPerTrigger"
    std::string message;  ///< says what is accepted, and the nearest known name
    bool is_error = true;
};
/// "sluice.yaml:12:7: pipelines[0].source.subscibe: unknown key; did you mean 'subscribe'?"
std::string to_string(const Finding& finding);

struct LoadOptions {
    std::optional<std::filesystem::path> data_dir;    ///< --data-dir
    std::optional<std::filesystem::path> plugin_dir;  ///< --plugin-dir
    /// Why a librdkafka property can't be taken (unknown, bad value, breaks the contract), or nullopt.
    /// kafka::refuse_property in the daemon; config/ itself knows no librdkafka.
    std::function<std::optional<std::string>(std::string_view name, std::string_view value)>
        refuse_kafka_property;
};

struct Loaded {
    std::optional<Config> config;  ///< set when no finding is an error
    std::vector<Finding> findings;
    std::map<std::string, std::shared_ptr<const sink::Plugin>> plugins;  ///< by name, those found
};

/// Reads one YAML file, or every *.yaml / *.yml of a directory (merged: pipelines add up, any other
/// key may stand in one file only). All findings at once. Never throws; blocks on files only.
Loaded load(const std::filesystem::path& path, const LoadOptions& options);

/// Answers the plugins of a directory; load() passes sink::load_plugins.
using PluginLoader = std::function<Result<sink::PluginDirectory>(const std::filesystem::path&)>;

/// The same with plugins from elsewhere: for tests, and for those who have them already.
Loaded load_with_plugins(const std::filesystem::path& path, const LoadOptions& options,
                         const PluginLoader& load_plugins);

/// The same for the text of one file. `name` stands in findings, and relative paths are relative to
/// its directory; it is not opened. Blocks only on the files that references name.
Loaded load_text(std::string_view text, const std::filesystem::path& name, const LoadOptions& options,
                 const PluginLoader& load_plugins);

/// The configuration to use: `flag` (--config), else $SLUICE_CONFIG, else /etc/sluice/sluice.yaml.
std::filesystem::path default_path(const std::optional<std::filesystem::path>& flag);

/// All errors of `loaded` in one message, code `configuration`.
Error to_error(const Loaded& loaded);

/// The properties of `source` with their references read again, as at every reconnect: passwords and
/// tokens change while the daemon runs. The new values are in `secrets`, to be kept out of messages
/// like those of Config. Errors: `configuration`, retriable (a file may just be being replaced),
/// naming property and reference. Blocks on files only.
struct Credentials {
    std::map<std::string, std::string> properties;
    std::vector<std::string> secrets;
};
Result<Credentials> resolve_again(const Source& source);

}  // namespace sluice::config
