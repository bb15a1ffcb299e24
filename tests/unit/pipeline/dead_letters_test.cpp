#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "daemon/pipeline/dead_letters.hpp"
#include "tests/unit/pipeline/world.hpp"

using namespace sluice;
using namespace sluice::pipeline;

namespace {

sluice_record record_at(std::int64_t offset, const char* value) {
    sluice_record record{};
    record.topic = {"orders", 6};
    record.partition = 2;
    record.offset = offset;
    record.timestamp_ms = 1'700'000'000'000;
    record.timestamp_type = SLUICE_TIMESTAMP_CREATE;
    record.value = {reinterpret_cast<const std::uint8_t*>(value), std::strlen(value)};
    return record;
}

struct Folder {
    Folder() : path(std::filesystem::path(SLUICE_TEST_BINARY_DIR) / "tests" / "work" / "dead_letters") {
        std::filesystem::remove_all(path);
        std::filesystem::create_directories(path);
        pipeline.name = "orders";
        pipeline.sink.plugin = "postgres";
        pipeline.errors.tolerance = config::Errors::Tolerance::all;
        pipeline.errors.dead_letter_path = path;
    }
    [[nodiscard]] std::string text(const std::string& name) const {
        std::ifstream file(path / "orders" / name);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    std::filesystem::path path;
    config::Pipeline pipeline;
};

}  // namespace

TEST_CASE("a dead letter carries the headers that Kafka Connect writes") {
    const auto headers = connect_headers("orders", "postgres", record_at(8123, "x"), "not a number");
    const std::vector<std::pair<std::string, std::string>> expected{
        {"__connect.errors.topic", "orders"},
        {"__connect.errors.partition", "2"},
        {"__connect.errors.offset", "8123"},
        {"__connect.errors.connector.name", "orders"},
        {"__connect.errors.task.id", "0"},
        {"__connect.errors.stage", "TASK_PUT"},
        {"__connect.errors.class.name", "postgres"},
        {"__connect.errors.exception.class.name", "sluice.RecordRefused"},
        {"__connect.errors.exception.message", "not a number"},
        {"__connect.errors.exception.stacktrace", "sink postgres refused the record: not a number"}};
    CHECK(headers == expected);
}

TEST_CASE("a batch's dead letters appear as one file when they are settled, once however often it ran") {
    const Folder folder;
    const auto letters = make_dead_letters(folder.pipeline, 0);
    const std::string name = "00000000000000000012.jsonl";
    for (int attempt = 0; attempt < 2; ++attempt) {
        REQUIRE(letters->begin(12));
        REQUIRE(letters->add(record_at(7, "a\"b"), {}, "no \"number\"", {}));
        CHECK(std::filesystem::exists(folder.path / "orders" / name) == (attempt > 0));
        REQUIRE(letters->settle({}));
        CHECK(folder.text(name) ==
              R"({"error":"no \"number\"","plugin":"postgres","topic":"orders","partition":2,"offset":7,)"
              R"("timestamp":1700000000000,"timestampType":"CreateTime","key":null,"headers":[],"value":"a\"b"})"
              "\n");
    }
}

TEST_CASE("what an aborted attempt wrote is gone when the next one begins, and no letters leave no file") {
    const Folder folder;
    const auto letters = make_dead_letters(folder.pipeline, 0);
    REQUIRE(letters->begin(1));
    REQUIRE(letters->add(record_at(7, "a"), {}, "no", {}));
    REQUIRE(letters->begin(1));
    REQUIRE(letters->settle({}));
    CHECK(std::filesystem::is_empty(folder.path / "orders"));
}

TEST_CASE("a folder that cannot be written is an error that names it, and is tried again") {
    Folder folder;
    std::ofstream(folder.path / "orders") << "a file where the folder goes";
    const auto letters = make_dead_letters(folder.pipeline, 0);
    REQUIRE(letters->begin(1));
    const auto added = letters->add(record_at(7, "a"), {}, "no", {});
    REQUIRE_FALSE(added);
    CHECK(added.error().retriable);
    CHECK(added.error().message.find((folder.path / "orders").string()) != std::string::npos);
}

TEST_CASE("dead letters that hang are STALLED, and said to be what hangs") {
    testing::World world;
    testing::LeapingClock clock;
    world.clock = &clock;
    world.config.errors.tolerance = config::Errors::Tolerance::all;
    world.config.errors.dead_letter_topic = "orders.dead";
    world.kafka.set("orders", 0, 0, 5);
    world.target.bad = {3};
    std::atomic<bool> hanging{false};
    std::atomic<bool> may_end{false};
    world.letters.on_settle = [&]() -> Result<void> {
        hanging = true;
        while (!may_end) std::this_thread::sleep_for(Milliseconds{1});
        return {};
    };
    std::string reason;
    world.run([&](Pipeline& pipeline) {
        if (!hanging || may_end) return;
        clock.leap(Milliseconds{60'000});
        const Status now = pipeline.status();
        CHECK(now.state == State::stalled);
        reason = now.reason;
        may_end = true;
    });
    CHECK_MESSAGE(reason.find("write dead letters has not moved") != std::string::npos, reason);
    CHECK(world.letters.settled.at(0) == std::multiset<std::int64_t>{3});
}
