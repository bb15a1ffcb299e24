#pragma once
// Plugins made of their descriptions alone: configuration needs no more of them.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace sluice::config::test {

class FakePlugin : public sink::Plugin {
 public:
    FakePlugin(std::string name, std::vector<sink::Option> options)
        : name_(std::move(name)), options_(std::move(options)), file_(name_ + ".so") {}

    const std::string& name() const override { return name_; }
    const std::string& version() const override { return version_; }
    const std::string& sentence() const override { return version_; }
    sink::Guarantee guarantee() const override { return sink::Guarantee::at_least_once; }
    bool ordered() const override { return false; }
    const std::vector<sink::Option>& options() const override { return options_; }
    const std::filesystem::path& file() const override { return file_; }

    /// Refuses append together with rollSize 1, and a password that holds "bad", repeating it.
    Result<void> check(const std::string& pipeline, const sink::Settings& settings) const override {
        const auto get = [&](const std::string& key) {
            const auto found = settings.find(key);
            return found == settings.end() ? std::string() : found->second;
        };
        if (get("mode") == "append" && get("rollSize") == "1") {
            return Error{ErrorCode::configuration,
                         pipeline + ": mode append cannot roll at 1 byte"};
        }
        if (get("password").find("bad") != std::string::npos) {
            return Error{ErrorCode::configuration,
                         "the password " + get("password") + " is too simple for " + get("user")};
        }
        return {};
    }
    /// Of postgres, what follows the user of `connection`, and the table; "nameless" is a table that breaks sink.h.
    Result<std::string> target(const std::string&, const sink::Settings& settings) const override {
        if (name_ != "postgres") return std::string();
        const std::string& connection = settings.at("connection");
        const std::string& table = settings.at("table");
        if (table == "nameless") {
            return Error{ErrorCode::configuration, "plugin 'postgres' has no name for " + connection +
                                                       ": this is a bug in the plugin"};
        }
        return connection.substr(connection.find('@') + 1) + ' ' + table;
    }
    sink::OpenReply open(const sink::SinkContext&, const sink::Settings&,
                         const std::atomic<bool>&) const override {
        return {{sink::Status::fatal, "a fake is never opened", {}}, nullptr};
    }

 private:
    std::string name_;
    std::string version_ = "1.0";
    std::vector<sink::Option> options_;
    std::filesystem::path file_;
};

inline sink::Option option(std::string name, std::int32_t type,
                           std::optional<std::string> default_value = {},
                           std::vector<std::string> choices = {}) {
    sink::Option made;
    made.name = std::move(name);
    made.type = type;
    made.default_value = std::move(default_value);
    made.choices = std::move(choices);
    made.sentence = "An option.";
    return made;
}

/// file, stdout, discard, postgres and kafka as the real ones describe themselves; database with one option of every
/// other kind; broken.so, which failed to load.
inline sink::PluginDirectory fake_plugins() {
    sink::PluginDirectory directory;
    const auto add = [&](std::string name, std::vector<sink::Option> options) {
        directory.plugins[name] = std::make_shared<FakePlugin>(name, std::move(options));
    };
    sink::Option path = option("path", SLUICE_OPTION_PATH);
    path.required = true;
    add("file", {path, option("mode", SLUICE_OPTION_CHOICE, "parts", {"parts", "append"}),
                 option("format", SLUICE_OPTION_CHOICE, "json", {"value", "json"}),
                 option("compression", SLUICE_OPTION_CHOICE, "none", {"none", "gzip", "zstd"}),
                 option("value", SLUICE_OPTION_CHOICE, "text", {"text", "json"}),
                 option("rollSize", SLUICE_OPTION_SIZE, "0"),
                 option("fileMode", SLUICE_OPTION_STRING, "0640")});
    add("stdout", {option("format", SLUICE_OPTION_CHOICE, "value", {"value", "json"})});
    add("discard", {});
    sink::Option connection = option("connection", SLUICE_OPTION_STRING);
    connection.required = connection.secret = true;
    sink::Option table = option("table", SLUICE_OPTION_STRING);
    table.required = true;
    add("postgres", {connection, table,
                     option("mode", SLUICE_OPTION_CHOICE, "append", {"append", "upsert"}),
                     option("key", SLUICE_OPTION_JSON), option("columns", SLUICE_OPTION_JSON),
                     option("createTable", SLUICE_OPTION_BOOL, "false")});
    add("kafka", {option("kafka", SLUICE_OPTION_JSON),
                  option("topic", SLUICE_OPTION_STRING, "{topic}"), option("routes", SLUICE_OPTION_JSON),
                  option("partition", SLUICE_OPTION_CHOICE, "keep", {"keep", "hash"}),
                  option("createTopics", SLUICE_OPTION_BOOL, "false"),
                  option("originHeaders", SLUICE_OPTION_BOOL, "false")});

    sink::Option url = option("url", SLUICE_OPTION_STRING);
    url.required = true;
    sink::Option password = option("password", SLUICE_OPTION_STRING);
    password.secret = true;
    sink::Option batch = option("batchRows", SLUICE_OPTION_INT, "1000");
    batch.minimum = 1;
    batch.maximum = 10'000;
    sink::Option timeout = option("timeout", SLUICE_OPTION_DURATION, "30s");
    timeout.minimum = 100;
    timeout.maximum = 600'000;
    add("database", {url, option("user", SLUICE_OPTION_STRING), password, batch, timeout,
                     option("tls", SLUICE_OPTION_BOOL, "true"),
                     option("certificate", SLUICE_OPTION_PATH),
                     option("columns", SLUICE_OPTION_JSON, "{id: 1, tags: [a, true]}")});
    directory.broken["broken.so"] =
        Error{ErrorCode::configuration, "made for ABI 2, this daemon has 1"};
    return directory;
}

/// librdkafka's judgement, as far as these tests need one. Repeats the value on purpose.
inline std::optional<std::string> refuse_property(std::string_view name, std::string_view value) {
    if (name == "auto.offset.reset") return "set by sluice; use startingOffsets";
    if (name == "fetch.wait.max.ms" && value.find_first_not_of("0123456789") != std::string::npos) {
        return "'" + std::string(value) + "' is not accepted by librdkafka";
    }
    if (name == "sasl.password" && value.size() < 4) {
        return "'" + std::string(value) + "' is too short";
    }
    if (name.starts_with("bootstrap.") && name != "bootstrap.servers") {
        return "unknown property; did you mean 'kafka.bootstrap.servers'?";
    }
    return std::nullopt;
}

inline LoadOptions options() {
    LoadOptions made;
    made.refuse_kafka_property = refuse_property;
    return made;
}

inline Result<sink::PluginDirectory> load_fakes(const std::filesystem::path&) {
    return fake_plugins();
}

}  // namespace sluice::config::test
