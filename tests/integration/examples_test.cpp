#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
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
    yaml = replaced(yaml, "/tmp/sluice-discard", (folder / "data").string());
    return replaced(yaml, "127.0.0.1:8083", "127.0.0.1:0");
}

/// Three partitions of 100 records each, unless the broker had the topic before.
void create_with_records(const std::vector<std::string>& topics) {
    Kafka& kafka = Kafka::real();
    for (const std::string& topic : topics) {
        try {
            kafka.create_topic(topic, 3);
        } catch (const std::runtime_error&) {
            continue;
        }
        for (std::int32_t p = 0; p < 3; ++p) kafka.produce_numbers(topic, p, 100);
    }
}

void stop(DaemonProcess& daemon) {
    daemon.signal(SIGTERM);
    const auto ended = daemon.wait();
    REQUIRE(ended);
    CHECK_MESSAGE(ended->code == 0, daemon.log());
}

/// Runs an example by itself: to its end, when it has one, or until it has committed a batch.
void run_example(const std::filesystem::path& file, const std::string& name) {
    CAPTURE(name);
    const WorkFolder folder("example-" + name);
    const std::string yaml = made_local(file, folder.path());
    DaemonProcess daemon(folder.path(), yaml);
    daemon.start();
    if (yaml.find("trigger: availableNow") != std::string::npos) {
        const auto ended = daemon.wait();
        REQUIRE(ended);
        CHECK_MESSAGE(ended->code == 0, daemon.log());
        CHECK_MESSAGE(daemon.says("batch committed"), daemon.log());
        return;
    }
    CHECK_MESSAGE(daemon.says("batch committed"), daemon.log());
    stop(daemon);
}

std::string output_of(const std::string& command) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
    REQUIRE(pipe);
    std::string text;
    for (char part[4096]; const std::size_t size = std::fread(part, 1, sizeof part, pipe.get());) text.append(part, size);
    return text;
}

}  // namespace

TEST_CASE("conf/directory runs against a real broker, exporting positions as a consumer group's") {
    Kafka& kafka = Kafka::real();
    create_with_records({"orders", "payments"});
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
    stop(daemon);
}

TEST_CASE("each example of conf/ runs against a real broker, as it stands") {
    create_with_records({"orders", "payments"});
    for (const char* name : {"files", "stdout", "discard", "backfill-available-now"})
        run_example(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/" + name + ".yaml", name);
}

TEST_CASE("conf/append-gzip.yaml delivers: what comes after its start is in one gzip file") {
    Kafka& kafka = Kafka::real();
    create_with_records({"access-web"});
    const WorkFolder folder("example-append-gzip");
    // A first batch takes what is there just then, and the rest may be less than minOffsetsPerTrigger.
    DaemonProcess daemon(folder.path(),
                         replaced(made_local(std::string(SLUICE_TEST_SOURCE_DIR) + "/conf/append-gzip.yaml", folder.path()),
                                  "maxTriggerDelay: 1m", "maxTriggerDelay: 5s"));
    daemon.start();
    REQUIRE_MESSAGE(daemon.says("initial offsets written down"), daemon.log());
    const std::int64_t each = 4'000;
    std::vector<std::string> expected;
    for (std::int32_t p = 0; p < 3; ++p) kafka.produce_numbers("access-web", p, each);
    for (std::int64_t i = 0; i < 3 * each; ++i) expected.push_back(std::to_string(i / 3));
    const std::string file = (folder.path() / "srv/access/current.jsonl.gz").string();
    std::vector<std::string> lines;
    const auto read = [&] {
        std::istringstream text(output_of("zcat " + file + " 2>/dev/null"));
        lines.clear();
        for (std::string line; std::getline(text, line);) lines.push_back(line);
        return lines.size() >= expected.size();
    };
    CHECK_MESSAGE(wait_until(read, std::chrono::seconds{60}), daemon.log());
    std::sort(lines.begin(), lines.end());
    std::sort(expected.begin(), expected.end());
    CHECK(lines == expected);
    stop(daemon);
}

TEST_CASE("each plugin's example.yaml is valid, and runs where it needs no other server") {
    create_with_records({"orders", "payments"});
    std::size_t count = 0;
    for (const auto& plugin : std::filesystem::directory_iterator(std::string(SLUICE_TEST_SOURCE_DIR) + "/plugins")) {
        const auto file = plugin.path() / "example.yaml";
        if (!std::filesystem::exists(file)) continue;
        ++count;
        const std::string name = plugin.path().filename().string();
        CAPTURE(name);
        const CommandResult valid = run_command("sluice", {"validate", file.string()});
        CHECK_MESSAGE(valid.code == 0, valid.out, valid.err);
        // Those of postgres and kafka are run where their targets are.
        if (name != "postgres" && name != "kafka") run_example(file, "plugin-" + name);
    }
    CHECK(count == 5);
}
