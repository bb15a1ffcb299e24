#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/support/e2e.hpp"
#include "tests/support/secure_kafka.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// One pipeline of one topic behind one of the broker's doors.
struct Setup {
    Setup(const std::string& name, std::string listener)
        : folder(name), topic(Kafka::unique(name)), door(std::move(listener)), user(topic) {
        kafka.admin().create_topic(topic, 1);
        pipeline.topics = {topic};
        pipeline.out = folder.path() / "out";
        pipeline.trigger = "{ processingTime: 100ms }";
        pipeline.extra = "errors: { retry: { delayMax: 500ms } }\n";
    }
    void scram(const std::string& password) {
        property("security.protocol", door == "sasl" ? "SASL_PLAINTEXT" : "SASL_SSL");
        property("sasl.mechanisms", "SCRAM-SHA-512");
        property("sasl.username", user);
        property("sasl.password", password);
        if (door != "sasl") property("ssl.ca.location", kafka.tls("ca.pem"));
    }
    void property(const std::string& name, const std::string& value) {
        pipeline.source_extra += "kafka." + name + ": '" + value + "'\n";
    }
    void produce(std::int64_t count) { kafka.admin().produce_numbers(topic, 0, count); }
    std::string yaml() const {
        return config_yaml(folder.path(), pipeline_yaml(kafka.address(door), pipeline));
    }
    std::int64_t delivered() const {
        const auto out = folder.path() / "out";
        return std::filesystem::exists(out) ? static_cast<std::int64_t>(count(delivered_in(out))) : 0;
    }
    bool delivers(std::int64_t expected) const {
        return wait_until([&] { return delivered() == expected; }, std::chrono::seconds{60});
    }
    void write(const std::string& file, const std::string& text) const {
        const auto path = folder.path() / file;
        std::ofstream(path.string() + ".new") << text << '\n';
        std::filesystem::rename(path.string() + ".new", path);
    }
    CommandResult sluice(std::vector<std::string> words) const {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    }
    /// State and reason, as `sluice status --json` has them.
    std::pair<std::string, std::string> status() const {
        const auto answer = sluice({"status", "--json"});
        if (answer.out.empty()) return {"unknown", answer.err};
        const auto entry = boost::json::parse(answer.out).at("pipelines").as_array().at(0);
        const auto* const reason = entry.as_object().if_contains("reason");
        return {std::string(entry.at("state").as_string()),
                reason != nullptr && reason->is_string() ? std::string(reason->as_string()) : ""};
    }
    /// Waits until it is RETRYING for a reason with each of `words` in it; answers what is missing.
    std::string retries_naming(const std::vector<std::string>& words) const {
        std::string reason;
        std::string missing;
        wait_until(
            [&] {
                const auto [state, why] = status();
                missing.clear();
                if (state != "RETRYING") missing = "not RETRYING: " + state;
                if (!why.empty()) reason = why;
                for (const auto& word : words) {
                    if (why.find(word) == std::string::npos) missing += " [" + word + "]";
                }
                return missing.empty();
            },
            std::chrono::seconds{40});
        return missing.empty() ? missing : missing + " in: " + reason;
    }

    SecureKafka& kafka = SecureKafka::real();
    const WorkFolder folder;
    const std::string topic;
    const std::string door;
    const std::string user;
    PipelineYaml pipeline;
};

void stop(DaemonProcess& daemon) {
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}

}  // namespace

TEST_CASE("records arrive over TLS with a client certificate") {
    Setup setup("tls", "tls");
    setup.kafka.allow("User:CN=certified", "read", setup.topic);
    setup.property("security.protocol", "SSL");
    setup.property("ssl.ca.location", setup.kafka.tls("ca.pem"));
    setup.property("ssl.certificate.location", setup.kafka.tls("client.pem"));
    setup.property("ssl.key.location", setup.kafka.tls("client.key"));
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("records arrive after a login by PLAIN over TLS") {
    Setup setup("plain", "sasl_tls");
    setup.kafka.allow("User:plain-user", "read", setup.topic);
    setup.property("security.protocol", "SASL_SSL");
    setup.property("sasl.mechanisms", "PLAIN");
    setup.property("sasl.username", "plain-user");
    setup.property("sasl.password", "plain-password");
    setup.property("ssl.ca.location", setup.kafka.tls("ca.pem"));
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("records arrive after a login by SCRAM-SHA-512, with and without TLS, without an ACL on a group") {
    for (const std::string door : {"sasl_tls", "sasl"}) {
        CAPTURE(door);
        Setup setup("scram", door);
        setup.kafka.set_password(setup.user, "right-password");
        setup.kafka.allow("User:" + setup.user, "read", setup.topic);
        setup.scram("right-password");
        setup.produce(30);
        DaemonProcess daemon(setup.folder.path(), setup.yaml());
        daemon.start();
        CHECK_MESSAGE(setup.delivers(30), daemon.log());
        stop(daemon);
    }
}

TEST_CASE("records arrive after a login by OAUTHBEARER") {
    Setup setup("oauth", "sasl_tls");
    setup.kafka.allow("User:tokened", "read", setup.topic);
    setup.property("security.protocol", "SASL_SSL");
    setup.property("sasl.mechanisms", "OAUTHBEARER");
    setup.property("enable.sasl.oauthbearer.unsecure.jwt", "true");
    setup.property("sasl.oauthbearer.config", "principal=tokened");
    setup.property("ssl.ca.location", setup.kafka.tls("ca.pem"));
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("a wrong password is retried, naming the user, and the right one is taken without a restart") {
    Setup setup("password", "sasl_tls");
    setup.kafka.set_password(setup.user, "right-password");
    setup.kafka.allow("User:" + setup.user, "read", setup.topic);
    setup.write("password", "wrong-password");
    setup.scram("${file:" + (setup.folder.path() / "password").string() + "}");
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    CHECK(setup.retries_naming({"User:" + setup.user, "kafka.sasl.password", "_AUTHENTICATION"}) == "");
    setup.write("password", "right-password");
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("a password rotated on the broker and then on disk is picked up while the daemon runs") {
    Setup setup("rotated", "sasl");
    setup.kafka.set_password(setup.user, "first-password");
    setup.kafka.allow("User:" + setup.user, "read", setup.topic);
    setup.write("password", "first-password");
    setup.scram("${file:" + (setup.folder.path() / "password").string() + "}");
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    REQUIRE_MESSAGE(setup.delivers(30), daemon.log());
    setup.kafka.set_password(setup.user, "second-password");
    // The broker ends sessions after 3 s (kafka_secure.sh): now the old password is refused.
    CHECK(setup.retries_naming({"User:" + setup.user}) == "");
    setup.write("password", "second-password");
    setup.produce(20);
    CHECK_MESSAGE(setup.delivers(50), daemon.log());
    CHECK(daemon.log().find("first-password") == std::string::npos);
    CHECK(daemon.log().find("second-password") == std::string::npos);
    stop(daemon);
}

TEST_CASE("a wrong certificate authority is retried, naming the setting, and a right file is taken") {
    Setup setup("wrongca", "sasl_tls");
    setup.kafka.set_password(setup.user, "right-password");
    setup.kafka.allow("User:" + setup.user, "read", setup.topic);
    const auto ca = setup.folder.path() / "ca.pem";
    std::filesystem::copy_file(setup.kafka.tls("other-ca.pem"), ca);
    setup.property("security.protocol", "SASL_SSL");
    setup.property("sasl.mechanisms", "SCRAM-SHA-512");
    setup.property("sasl.username", setup.user);
    setup.property("sasl.password", "right-password");
    setup.property("ssl.ca.location", ca);
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    CHECK(setup.retries_naming({"kafka.ssl.ca.location", "certificate"}) == "");
    std::filesystem::copy_file(setup.kafka.tls("ca.pem"), ca,
                               std::filesystem::copy_options::overwrite_existing);
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("a missing ACL is retried, naming principal, operation and topic, and goes on when granted") {
    Setup setup("acl", "sasl");
    const std::string principal = "User:" + setup.user;
    setup.kafka.set_password(setup.user, "right-password");
    setup.scram("right-password");
    setup.produce(30);
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    const std::vector<std::string> command{"kafka-acls.sh", principal, "--operation Read",
                                           "--topic " + setup.topic};
    CHECK(setup.retries_naming(command) == "");
    // May look, may not read: found by the consumer, after the plan was made.
    setup.kafka.allow(principal, "describe", setup.topic);
    std::vector<std::string> at_offset = command;
    at_offset.push_back("at offset 0");
    CHECK(setup.retries_naming(at_offset) == "");
    setup.kafka.allow(principal, "read", setup.topic);
    CHECK_MESSAGE(setup.delivers(30), daemon.log());
    stop(daemon);
}

TEST_CASE("a dead letter topic that may not be seen, created or written is retried, naming whom to grant what") {
    Setup setup("letters", "sasl");
    const std::string principal = "User:" + setup.user;
    const std::string dead_topic = setup.topic + ".dead";
    setup.kafka.set_password(setup.user, "right-password");
    setup.kafka.allow(principal, "read", setup.topic);
    setup.scram("right-password");
    setup.pipeline.sink = "plugin: picky\n";
    setup.pipeline.extra = "errors: { tolerance: all, deadLetters: { topic: " + dead_topic +
                           " }, retry: { delayMax: 500ms } }\n";
    setup.kafka.admin().produce(setup.topic, 1, [](std::int64_t) {
        Record record;
        record.value = "bad";
        return record;
    });
    DaemonProcess daemon(setup.folder.path(),
                         "pluginDir: " SLUICE_TEST_BINARY_DIR "/tests/plugins\n" + setup.yaml());
    daemon.start();
    const auto grant = [&](const std::string& operation, const std::string& said) {
        return std::vector<std::string>{said, "kafka-acls.sh --add --allow-principal " + principal +
                                                  " --operation " + operation + " --topic " + dead_topic};
    };
    CHECK(setup.retries_naming(grant("Write", "look up topic " + dead_topic)) == "");
    // May look, and there is none.
    setup.kafka.allow(principal, "describe", dead_topic);
    CHECK(setup.retries_naming(grant("Create", "create the topic yourself")) == "");
    setup.kafka.admin().create_topic(dead_topic, 1);
    CHECK(setup.retries_naming(grant("Write", "dead letters to topic " + dead_topic)) == "");
    daemon.signal(SIGTERM);
    REQUIRE(daemon.wait());
}

TEST_CASE("a bounded run that is refused gives up with 75") {
    Setup setup("refused", "sasl");
    setup.kafka.set_password(setup.user, "right-password");
    setup.scram("wrong-password");
    setup.pipeline.trigger = "availableNow";
    setup.pipeline.extra = "errors: { retry: { timeout: 1s, delayMax: 500ms } }\n";
    DaemonProcess daemon(setup.folder.path(), setup.yaml());
    daemon.start();
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 75, daemon.log());
    CHECK_MESSAGE(daemon.log().find("User:" + setup.user) != std::string::npos, daemon.log());
}
