#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/unit/config/fake_plugins.hpp"

namespace sluice::config {
namespace {

/// One pipeline; `source` are lines of its source, `rest` of the pipeline.
std::string one_pipeline(const std::string& source = "subscribe: [orders]",
                         const std::string& sink = "{plugin: discard}",
                         const std::string& rest = "") {
    const auto indented = [](const std::string& lines, const std::string& indent) {
        std::string text;
        std::size_t at = 0;
        while (at < lines.size()) {
            const std::size_t end = std::min(lines.find('\n', at), lines.size());
            text += indent + lines.substr(at, end - at) + "\n";
            at = end + 1;
        }
        return text;
    };
    return "pipelines:\n  - name: orders\n    source:\n      kafka.bootstrap.servers: localhost:9092\n" +
           indented(source, "      ") + "    sink: " + sink + "\n" + indented(rest, "    ");
}

Loaded load_it(const std::string& text, const LoadOptions& options = test::options()) {
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
    return load_text(text, "/etc/sluice/sluice.yaml", options, test::load_fakes);
}

/// The configuration of a text that must be right.
Config config_of(const std::string& text, const LoadOptions& options = test::options()) {
    const Loaded loaded = load_it(text, options);
    for (const Finding& finding : loaded.findings) MESSAGE(to_string(finding));
    REQUIRE(loaded.config);
    return *loaded.config;
}

Source source_of(const std::string& source) {
    return config_of(one_pipeline(source)).pipelines.at(0).source;
}

Sink sink_of(const std::string& sink) {
    return config_of(one_pipeline("subscribe: [orders]", sink)).pipelines.at(0).sink;
}

}  // namespace

TEST_CASE("the smallest configuration gets every default") {
    const Config config = config_of(one_pipeline());
    CHECK(config.data_dir == "/var/lib/sluice");
    CHECK(config.control_socket == "/var/lib/sluice/control.sock");
    CHECK(config.http_listen == "127.0.0.1:8083");
    CHECK(config.http_write == "off");
    CHECK(config.workers >= 1);
    CHECK(config.memory_max == 512ULL << 20);
    CHECK(config.consumers_capacity == 16);
    CHECK(config.consumers_idle_timeout == Milliseconds{300'000});
    CHECK(config.history_age == Milliseconds{31LL * 24 * 3600 * 1000});
    CHECK(config.history_size == 256ULL << 20);
    CHECK(config.shutdown_timeout == Milliseconds{30'000});
    CHECK(config.secrets.empty());
    REQUIRE(config.pipelines.size() == 1);

    const Pipeline& pipeline = config.pipelines[0];
    CHECK(pipeline.name == "orders");
    CHECK(pipeline.source.kafka ==
          std::map<std::string, std::string>{{"bootstrap.servers", "localhost:9092"}});
    CHECK(std::get<Topics>(pipeline.source.subscription).names == std::vector<std::string>{"orders"});
    CHECK(std::holds_alternative<Earliest>(pipeline.source.starting_offsets));
    CHECK(std::holds_alternative<Auto>(pipeline.source.max_offsets_per_trigger));
    CHECK_FALSE(pipeline.source.max_bytes_per_trigger);
    CHECK_FALSE(pipeline.source.min_offsets_per_trigger);
    CHECK(pipeline.source.max_trigger_delay == Milliseconds{900'000});
    CHECK_FALSE(pipeline.source.max_records_per_partition);
    CHECK_FALSE(pipeline.source.min_partitions);
    CHECK(pipeline.source.fail_on_data_loss);
    CHECK(pipeline.source.isolation_level == "read_committed");
    CHECK(pipeline.source.fetch_offset_retries == 3);
    CHECK(pipeline.source.fetch_offset_retry_interval == Milliseconds{1000});
    CHECK(pipeline.trigger.kind == TriggerKind::processing_time);
    CHECK(pipeline.trigger.interval == Milliseconds{10'000});
    CHECK(pipeline.sink.plugin == "discard");
    CHECK(pipeline.errors.tolerance == Errors::Tolerance::none);
    CHECK_FALSE(pipeline.errors.retry_timeout);
    CHECK(pipeline.errors.retry_delay_max == Milliseconds{60'000});
    CHECK_FALSE(pipeline.export_group);
    CHECK_FALSE(pipeline.renamed_from);
}

TEST_CASE("every key of the top level arrives") {
    const Config config = config_of(
        "dataDir: state/\npluginDir: ../plugins\nhttp: {listen: '[::1]:0', write: open}\n"
        "controlSocket: /run/x.sock\nworkers: 3\nmemoryMax: 1GiB\n"
        "consumers: {capacity: 4, idleTimeout: 90s}\nhistory: {age: 2h, size: 5MiB}\n"
        "shutdownTimeout: 0s\n" +
        one_pipeline());
    CHECK(config.data_dir == "/etc/sluice/state");
    CHECK(config.plugin_dir == "/etc/plugins");
    CHECK(config.http_listen == "[::1]:0");
    CHECK(config.http_write == "open");
    CHECK(config.control_socket == "/run/x.sock");
    CHECK(config.workers == 3);
    CHECK(config.memory_max == 1ULL << 30);
    CHECK(config.consumers_capacity == 4);
    CHECK(config.consumers_idle_timeout == Milliseconds{90'000});
    CHECK(config.history_age == Milliseconds{7'200'000});
    CHECK(config.history_size == 5ULL << 20);
    CHECK(config.shutdown_timeout == Milliseconds{0});
}

TEST_CASE("http: off leaves no address to listen on") {
    CHECK_FALSE(config_of("http: off\n" + one_pipeline()).http_listen);
}

TEST_CASE("systemd's directories are the defaults, what is written or passed wins") {
    const auto load_under_systemd = [](const std::string& text, const LoadOptions& options) {
        setenv("STATE_DIRECTORY", "/var/lib/state:/var/lib/more", 1);
        setenv("RUNTIME_DIRECTORY", "/run/sluice", 1);
        const Loaded loaded = load_text(text, "/etc/sluice/sluice.yaml", options, test::load_fakes);
        unsetenv("STATE_DIRECTORY");
        unsetenv("RUNTIME_DIRECTORY");
        REQUIRE(loaded.config);
        return *loaded.config;
    };
    const Config plain = load_under_systemd(one_pipeline(), test::options());
    CHECK(plain.data_dir == "/var/lib/state");
    CHECK(plain.control_socket == "/run/sluice/control.sock");

    const Config written = load_under_systemd("dataDir: /srv/data\n" + one_pipeline(), test::options());
    CHECK(written.data_dir == "/srv/data");

    LoadOptions options = test::options();
    options.data_dir = "/srv/flag/";
    options.plugin_dir = "/srv/plugins";
    const Config passed =
        load_under_systemd("dataDir: /srv/data\npluginDir: /x\n" + one_pipeline(), options);
    CHECK(passed.data_dir == "/srv/flag");
    CHECK(passed.plugin_dir == "/srv/plugins");
}

TEST_CASE("a sink path is checked against the data directory that is passed, too") {
    LoadOptions options = test::options();
    options.data_dir = "/srv/flag";
    const Loaded loaded =
        load_it(one_pipeline("subscribe: [orders]", "{plugin: file, path: /srv/flag/out}"), options);
    REQUIRE(loaded.findings.size() == 1);
    CHECK(loaded.findings[0].path == "pipelines[0].sink.path");
}

TEST_CASE("the loader gets the plugin directory that counts, and its error is a finding") {
    std::filesystem::path asked;
    const auto failing = [&asked](const std::filesystem::path& directory) -> Result<sink::PluginDirectory> {
        asked = directory;
        return Error{ErrorCode::configuration, directory.string() + ": no such directory"};
    };
    const Loaded loaded =
        load_text("pluginDir: plugins\n" + one_pipeline(), "/etc/sluice/s.yaml", test::options(), failing);
    CHECK(asked == "/etc/sluice/plugins");
    REQUIRE(loaded.findings.size() == 1);
    CHECK(to_string(loaded.findings[0]) ==
          "/etc/sluice/s.yaml:1:12: pluginDir: /etc/sluice/plugins: no such directory");
    // What is wrong elsewhere is said beside it.
    const Loaded more = load_text("pluginDir: plugins\n" + one_pipeline("subscribe: []"), "/etc/sluice/s.yaml",
                                  test::options(), failing);
    REQUIRE(more.findings.size() == 2);
    CHECK(more.findings[1].path == "pipelines[0].source.subscribe");
}

TEST_CASE("topics are a list or, as in Spark, one text with commas") {
    const std::vector<std::string> both{"orders", "payments"};
    CHECK(std::get<Topics>(source_of("subscribe: [orders, payments]").subscription).names == both);
    CHECK(std::get<Topics>(source_of("subscribe: orders, payments").subscription).names == both);
    CHECK(std::get<TopicPattern>(source_of("subscribePattern: '^orders-.*'").subscription).regex ==
          "^orders-.*");
    CHECK(std::get<Assignment>(source_of("assign: {orders: [1, 0], logs: [7]}").subscription).partitions ==
          std::map<std::string, std::vector<std::int32_t>>{{"logs", {7}}, {"orders", {0, 1}}});
}

TEST_CASE("startingOffsets takes all of its forms") {
    const auto starting = [](const std::string& form) {
        return source_of("subscribe: [orders, timestamp]\nstartingOffsets: " + form).starting_offsets;
    };
    CHECK(std::holds_alternative<Earliest>(starting("earliest")));
    CHECK(std::holds_alternative<Latest>(starting("latest")));
    CHECK(std::get<AtOffsets>(starting("{orders: {0: 23, '1': -1, 2: -2}}")).offsets.at("orders") ==
          std::map<std::int32_t, std::int64_t>{{0, 23}, {1, -1}, {2, -2}});
    CHECK(std::get<AtOffsets>(starting("{timestamp: {0: 5}}")).offsets.at("timestamp").at(0) == 5);
    CHECK(std::get<FromGroup>(starting("{group: connect-orders}")).group == "connect-orders");

    const auto at = std::get<AtTimestamp>(starting("{timestamp: 2026-11-01T09:00:00.250+01:00}"));
    CHECK(to_iso8601(at.timestamp) == "2026-11-01T08:00:00.250Z");
    CHECK(at.fail_on_no_match);
    CHECK_FALSE(std::get<AtTimestamp>(starting("{timestamp: 2026-11-01T08:00:00Z, noMatch: latest}"))
                    .fail_on_no_match);
}

TEST_CASE("limits are numbers or the words each of them knows") {
    const Source source = source_of(
        "subscribe: [orders]\nmaxOffsetsPerTrigger: unlimited\nmaxBytesPerTrigger: 64MiB\n"
        "minOffsetsPerTrigger: 20\nmaxTriggerDelay: 1m\nmaxRecordsPerPartition: 500000\n"
        "minPartitions: auto\nfailOnDataLoss: false\nfetchOffset.numRetries: 5\n"
        "fetchOffset.retryInterval: 250ms\nkafka.isolation.level: read_uncommitted");
    CHECK(std::holds_alternative<Unlimited>(source.max_offsets_per_trigger));
    CHECK(source.max_bytes_per_trigger == 64ULL << 20);
    CHECK(source.min_offsets_per_trigger == 20);
    CHECK(source.max_trigger_delay == Milliseconds{60'000});
    CHECK(source.max_records_per_partition == Limit{std::int64_t{500'000}});
    CHECK(source.min_partitions == Limit{Auto{}});
    CHECK_FALSE(source.fail_on_data_loss);
    CHECK(source.fetch_offset_retries == 5);
    CHECK(source.fetch_offset_retry_interval == Milliseconds{250});
    CHECK(source.isolation_level == "read_uncommitted");
    CHECK_FALSE(source.kafka.contains("isolation.level"));
}

TEST_CASE("kafka properties lose their prefix and keep their text") {
    const Source source = source_of(
        "subscribe: [orders]\nkafka.socket.keepalive.enable: true\nkafka.fetch.wait.max.ms: 50\n"
        "kafka.ssl.ca.pem: |\n  line 1\n  line 2");
    CHECK(source.kafka.at("socket.keepalive.enable") == "true");
    CHECK(source.kafka.at("fetch.wait.max.ms") == "50");
    CHECK(source.kafka.at("ssl.ca.pem") == "line 1\nline 2\n");
}

TEST_CASE("a trigger is a word or a map") {
    const auto trigger = [](const std::string& form) {
        return config_of(one_pipeline("subscribe: [orders]", "{plugin: discard}", "trigger: " + form))
            .pipelines.at(0)
            .trigger;
    };
    CHECK(trigger("{processingTime: 0s}").interval == Milliseconds{0});
    CHECK(trigger("{processingTime: 1m}").kind == TriggerKind::processing_time);
    CHECK(trigger("availableNow").kind == TriggerKind::available_now);
    CHECK(trigger("{availableNow: true}").kind == TriggerKind::available_now);
    CHECK(trigger("once").kind == TriggerKind::once);
    CHECK(trigger("{once: true}").kind == TriggerKind::once);
}

TEST_CASE("errors say where refused records go, and how long to try") {
    const auto errors = [](const std::string& form) {
        return config_of(one_pipeline("subscribe: [orders]", "{plugin: discard}", "errors: " + form))
            .pipelines.at(0)
            .errors;
    };
    const Errors topic = errors("{tolerance: all, deadLetters: {topic: dead}}");
    CHECK(topic.tolerance == Errors::Tolerance::all);
    CHECK(topic.dead_letter_topic == "dead");
    CHECK_FALSE(topic.dead_letter_path);
    CHECK(errors("{tolerance: all, deadLetters: {path: dead}}").dead_letter_path == "/etc/sluice/dead");
    const Errors retry = errors("{retry: {timeout: 15m, delayMax: 5s}}");
    CHECK(retry.retry_timeout == Milliseconds{900'000});
    CHECK(retry.retry_delay_max == Milliseconds{5'000});
}

TEST_CASE("sink options reach the plugin in the form of the ABI, defaults filled in") {
    CHECK(sink_of("{plugin: file, path: out/, rollSize: 64MiB, fileMode: 0600}").settings ==
          sink::Settings{{"path", "/etc/sluice/out"}, {"mode", "parts"}, {"format", "json"},
                         {"compression", "none"}, {"value", "text"}, {"rollSize", "67108864"},
                         {"fileMode", "0600"}});
    CHECK(sink_of("{plugin: database, url: db, timeout: 2m, tls: false, batchRows: 10, "
                  "columns: [id, '1', 1, {a: null, b: \"x\\\"y\"}]}")
              .settings ==
          sink::Settings{{"url", "db"}, {"timeout", "120000"}, {"tls", "false"}, {"batchRows", "10"},
                         {"columns", R"(["id","1",1,{"a":null,"b":"x\"y"}])"}});
    CHECK(sink_of("{plugin: database, url: db}").settings.at("columns") ==
          R"({"id":1,"tags":["a",true]})");
    CHECK(sink_of("{plugin: discard}").settings.empty());
}

TEST_CASE("the target of a sink names everything but its secrets") {
    const Sink sink = sink_of("{plugin: database, url: db, password: letmein}");
    CHECK(sink.settings.at("password") == "letmein");
    CHECK(sink.target.find("letmein") == std::string::npos);
    CHECK(sink.target == sink_of("{plugin: database, password: other, url: db}").target);
    CHECK(sink.target != sink_of("{plugin: database, url: db2}").target);
}

TEST_CASE("a table of one name may be in several databases, and the receipt follows the table") {
    const std::string text =
        one_pipeline("subscribe: [a]", "{plugin: postgres, connection: 'u:secret@a/shop', table: public.orders}") +
        "  - name: two\n    source: {kafka.bootstrap.servers: b, subscribe: [c]}\n"
        "    sink: {plugin: postgres, connection: 'u:secret@b/shop', table: public.orders}\n";
    const Config config = config_of(text);
    REQUIRE(config.pipelines.size() == 2);
    const Sink& one = config.pipelines[0].sink;
    const Sink& two = config.pipelines[1].sink;
    CHECK(one.place == "a/shop public.orders");
    CHECK(one.claimed() == "postgres a/shop public.orders");
    CHECK(one.claimed() != two.claimed());
    CHECK(one.target == two.target);  // a server may get another name
    CHECK(sink_of("{plugin: database, url: db}").claimed() == sink_of("{plugin: database, url: db}").target);
}

TEST_CASE("several pipelines may share a sink that has no target") {
    const std::string text = one_pipeline("subscribe: [a]", "{plugin: stdout}") +
                             "  - name: two\n    source: {kafka.bootstrap.servers: b, subscribe: [c]}\n"
                             "    sink: {plugin: stdout}\n";
    CHECK(config_of(text).pipelines.size() == 2);
}

TEST_CASE("aliases stand for what they name") {
    const Config config = config_of(
        "pipelines:\n  - name: a\n    source: &s {kafka.bootstrap.servers: b, subscribe: [x]}\n"
        "    sink: {plugin: discard}\n  - {name: b, source: *s, sink: {plugin: discard}}\n");
    CHECK(std::get<Topics>(config.pipelines.at(1).source.subscription).names.at(0) == "x");
}

TEST_CASE("what is doubtful is a warning, and the configuration counts") {
    const Loaded loaded = load_it("http: {listen: 0.0.0.0:8083, write: open}\n" +
                                  one_pipeline("subscribe: [orders]\nmaxTriggerDelay: 1m"));
    CHECK(loaded.config);
    REQUIRE(loaded.findings.size() == 2);
    CHECK(to_string(loaded.findings[0]) ==
          "/etc/sluice/sluice.yaml:1:7: warning: http.write: open lets everybody who reaches this "
          "address change pipelines");
    CHECK(to_string(loaded.findings[1]) ==
          "/etc/sluice/sluice.yaml:7:24: warning: pipelines[0].source.maxTriggerDelay: has no effect "
          "without minOffsetsPerTrigger");
}

TEST_CASE("the plugins that were found are handed on") {
    CHECK(load_it(one_pipeline()).plugins.contains("file"));
}

TEST_CASE("the configuration's path is the flag, the environment, or the system's") {
    unsetenv("SLUICE_CONFIG");
    CHECK(default_path(std::nullopt) == "/etc/sluice/sluice.yaml");
    setenv("SLUICE_CONFIG", "/x/y.yaml", 1);
    CHECK(default_path(std::nullopt) == "/x/y.yaml");
    CHECK(default_path("/z.yaml") == "/z.yaml");
    setenv("SLUICE_CONFIG", "", 1);
    CHECK(default_path(std::nullopt) == "/etc/sluice/sluice.yaml");
    unsetenv("SLUICE_CONFIG");
}

}  // namespace sluice::config
