// Records with headers, from librdkafka's mock cluster.

#include "daemon/kafka/chunk.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/kafka/consumer.hpp"
#include "daemon/kafka/embedded_broker.hpp"
#include "daemon/kafka/header_arena.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::kafka;

namespace {

struct Read {
    std::unique_ptr<Consumer> consumer;  // outlives what it read
    std::vector<Message> messages;
};

/// Records 0 … `count`-1 with as many headers as their offset says, modulo 3.
Read read_with_headers(const EmbeddedBroker& broker, const std::string& topic, int count) {
    test::Kafka kafka(broker.bootstrap_servers());
    kafka.produce(topic, count, [](std::int64_t i) {
        test::Record record;
        record.value = std::to_string(i);
        for (std::int64_t h = 0; h < i % 3; ++h) {
            record.headers.emplace_back("h" + std::to_string(h), std::to_string(i) + "/" + std::to_string(h));
        }
        return record;
    });
    ClientSettings settings;
    settings.properties["bootstrap.servers"] = broker.bootstrap_servers();
    settings.pipeline = "chunk";
    auto made = Consumer::create(settings, {});
    REQUIRE(made);
    Read read{*std::move(made), {}};
    REQUIRE(read.consumer->assign({topic, 0}, 0, -1));
    std::vector<Message> batch;
    const bool all_came = test::wait_until([&] {
        if (!read.consumer->consume(batch, 100, Milliseconds{100})) return false;
        for (auto& message : batch) {
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) read.messages.push_back(std::move(message));
        }
        batch.clear();
        return read.messages.size() >= static_cast<std::size_t>(count);
    });
    CHECK(all_came);
    REQUIRE(read.messages.size() == static_cast<std::size_t>(count));
    return read;
}

sluice_headers headers_of(const sluice_record& record) {
    const auto* const handle = static_cast<const sink::RecordHandle*>(record.handle);
    return handle->headers(handle);
}

std::string text(const sluice_header& header) {
    return std::string(header.name.data, header.name.size) + "=" +
           std::string(reinterpret_cast<const char*>(header.value.data), header.value.size);
}

}  // namespace

TEST_CASE("headers stay where they are until the chunk ends, and the next chunk's take their room") {
    HeaderArena arena;
    const std::vector<std::size_t> counts{1, 0, 1000, 100, 5000, 3};
    std::vector<sluice_header*> given;
    for (const std::size_t count : counts) {
        sluice_header* const room = arena.take(count);
        CHECK(room != nullptr);
        for (std::size_t i = 0; i < count; ++i) room[i].name.size = given.size();
        given.push_back(room);
    }
    for (std::size_t n = 0; n < given.size(); ++n) {
        for (std::size_t i = 0; i < counts[n]; ++i) REQUIRE(given[n][i].name.size == n);
    }
    for (int chunk = 0; chunk < 3; ++chunk) {
        arena.clear();
        for (std::size_t n = 0; n < given.size(); ++n) CHECK(arena.take(counts[n]) == given[n]);
    }
}

TEST_CASE("each record has its own headers, in order, chunk after chunk in the same room") {
    log::configure(log::Format::text, log::Level::warning);
    auto broker = EmbeddedBroker::start();
    REQUIRE(broker);
    const std::string topic = test::Kafka::unique("chunk");
    REQUIRE((*broker)->create_topic(topic, 1));
    Read read = read_with_headers(**broker, topic, 12);
    Chunk chunk(6);
    const sluice_header* room = nullptr;
    for (std::size_t begin = 0; begin < 12; begin += 6) {
        CAPTURE(begin);
        for (std::size_t i = begin; i < begin + 6; ++i) {
            chunk.add(std::move(read.messages[i]), {topic.data(), topic.size()});
        }
        std::vector<sluice_headers> found;
        for (const sluice_record& record : chunk.records()) found.push_back(headers_of(record));
        for (std::size_t i = 0; i < 6; ++i) {
            CAPTURE(i);
            REQUIRE(found[i].count == (begin + i) % 3);
            for (std::size_t h = 0; h < found[i].count; ++h) {
                CHECK(text(found[i].items[h]) ==
                      "h" + std::to_string(h) + "=" + std::to_string(begin + i) + "/" + std::to_string(h));
            }
        }
        if (room == nullptr) room = found[1].items;
        CHECK(found[1].items == room);
        std::vector<Message> spent;
        chunk.clear(spent);
        CHECK(spent.size() == 6);
    }
}
