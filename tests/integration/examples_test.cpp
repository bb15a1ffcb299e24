#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// An example as a user would make it his own: another broker, other folders, any free port.
std::string made_local(const std::filesystem::path& file, const std::filesystem::path& folder) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    std::string yaml = text.str();
    REQUIRE_FALSE(yaml.empty());
    yaml = replaced(yaml, "${env:KAFKA_BOOTSTRAP_SERVERS}", Kafka::real().bootstrap());
    yaml = replaced(yaml, "localhost:9092", Kafka::real().bootstrap());
    yaml = replaced(yaml, "/srv/sluice", (folder / "srv").string());
    yaml = replaced(yaml, "/var/lib/sluice", (folder / "data").string());
    yaml = replaced(yaml, "/tmp/sluice-stdout", (folder / "data").string());
    return replaced(yaml, "127.0.0.1:8083", "127.0.0.1:0");
}

}  // namespace

TEST_CASE("conf/directory runs against a real broker, exporting positions as a consumer group's") {
    Kafka& kafka = Kafka::real();
    for (const char* topic : {"orders", "payments"}) {
        try {
            kafka.create_topic(topic, 3);
        } catch (const std::runtime_error&) {
            continue;
        }
        for (std::int32_t p = 0; p < 3; ++p) kafka.produce_numbers(topic, p, 100);
    }
    const WorkFolder folder("example-directory");
    const auto conf = folder.path() / "conf.d";
    std::filesystem::create_directories(conf);
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/directory")) {
        std::ofstream(conf / entry.path().filename()) << made_local(entry.path(), folder.path());
    }
    DaemonProcess daemon = DaemonProcess::with_directory(folder.path(), conf);
    daemon.start();
    CHECK_MESSAGE(daemon.says("batch committed pipeline=orders"), daemon.log());
    CHECK_MESSAGE(daemon.says("batch committed pipeline=payments"), daemon.log());
    const bool exported = wait_until([&] { return kafka.committed("sluice-orders", {"orders", 0}) == 100; });
    CHECK_MESSAGE(exported, daemon.log());
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}

TEST_CASE("each example of conf/ runs against a real broker, as it stands") {
    Kafka& kafka = Kafka::real();
    for (const char* topic : {"orders", "payments", "access-web"}) {
        try {
            kafka.create_topic(topic, 3);
        } catch (const std::runtime_error&) {
            continue;  // a broker that was there before the test, with the topic
        }
        for (std::int32_t p = 0; p < 3; ++p) kafka.produce_numbers(topic, p, 100);
    }
    for (const char* name : {"files", "append-gzip", "stdout", "backfill-available-now"}) {
        CAPTURE(name);
        const WorkFolder folder(std::string("example-") + name);
        DaemonProcess daemon(folder.path(),
                             made_local(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/" + name + ".yaml",
                                        folder.path()));
        daemon.start();
        if (std::string_view(name) == "backfill-available-now") {
            const auto ended = daemon.wait();
            REQUIRE(ended);
            CHECK_MESSAGE(ended->code == 0, daemon.log());
            continue;
        }
        CHECK_MESSAGE(daemon.says(std::string_view(name) == "append-gzip" ? "initial offsets written down"
                                                                         : "batch committed"),
                      daemon.log());
        daemon.signal(SIGTERM);
        const auto ended = daemon.wait();
        REQUIRE(ended);
        CHECK_MESSAGE(ended->code == 0, daemon.log());
    }
}
