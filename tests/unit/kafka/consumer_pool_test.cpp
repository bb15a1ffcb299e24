// Consumers kept and lent, on librdkafka's mock cluster.

#include "daemon/kafka/consumer_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/kafka/consumer.hpp"
#include "daemon/kafka/embedded_broker.hpp"
#include "daemon/kafka/range_reader.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::kafka;

namespace {

struct World {
    World() {
        log::configure(log::Format::text, log::Level::warning);
        auto started = EmbeddedBroker::start();
        REQUIRE(started);
        broker = std::move(*started);
        settings.properties["bootstrap.servers"] = broker->bootstrap_servers();
        settings.pipeline = "test";
    }

    std::string topic_of(std::int64_t records, int partitions = 1) {
        const std::string topic = test::Kafka::unique("pool");
        REQUIRE(broker->create_topic(topic, partitions));
        test::Kafka kafka(broker->bootstrap_servers());
        for (int p = 0; p < partitions; ++p) kafka.produce_numbers(topic, p, records);
        return topic;
    }

    /// The values of one range, by whichever consumer the pool gives.
    std::vector<std::string> read(ConsumerPool& pool, const plan::OffsetRange& range, bool read_on = true) {
        auto lease = pool.lease(settings, range.topic_partition, range.from, -1, {}, {});
        REQUIRE(lease);
        ReadOptions options;
        options.read_on = read_on;
        std::vector<std::string> values;
        const auto counts = read_range(*lease, range, options,
                                       [&](std::span<const sluice_record> records) -> Result<void> {
                                           for (const auto& record : records) {
                                               values.emplace_back(reinterpret_cast<const char*>(record.value.data),
                                                                   record.value.size);
                                           }
                                           return {};
                                       },
                                       {});
        REQUIRE(counts);
        return values;
    }

    std::unique_ptr<EmbeddedBroker> broker;
    ClientSettings settings;
};

std::vector<std::string> numbers(std::int64_t from, std::int64_t until) {
    std::vector<std::string> values;
    for (std::int64_t i = from; i < until; ++i) values.push_back(std::to_string(i));
    return values;
}

Result<void> ignore(std::span<const sluice_record>) { return {}; }

}  // namespace

TEST_CASE("ranges that follow each other are read by one consumer, which never moves") {
    World world;
    const std::string topic = world.topic_of(60);
    ConsumerPool pool({});
    for (std::int64_t i = 0; i < 50; ++i) CHECK(world.read(pool, {{topic, 0}, i, i + 1}) == numbers(i, i + 1));
    CHECK(world.read(pool, {{topic, 0}, 50, 60}) == numbers(50, 60));
    const PoolStats stats = pool.stats();
    CHECK(stats.misses == 1);
    CHECK(stats.hits_position == 50);
    CHECK(stats.clients == 1);
    pool.forget(world.settings);
    CHECK(pool.stats().closed == 1);
    CHECK(pool.stats().clients == 0);
}

TEST_CASE("a partition is asked for 512 KiB at once, or what the user says, or what memory has room for") {
    World world;
    const std::string topic = world.topic_of(1);
    const auto asked = [&](std::uint64_t memory_max) {
        ConsumerPool pool({.capacity = 1, .memory_max = memory_max});
        auto lease = pool.lease(world.settings, {topic, 0}, 0, -1, {}, {});
        REQUIRE(lease);
        return lease->consumer().limits().fetch_bytes;
    };
    constexpr std::uint64_t mib = 1 << 20;
    CHECK(asked(256 * mib) == 512 << 10);
    CHECK(asked(8 * mib) == 256 << 10);
    world.settings.properties["max.partition.fetch.bytes"] = "4194304";
    CHECK(asked(256 * mib) == 4 << 20);
    CHECK(asked(64 * mib) == 2 << 20);
    world.settings.properties["max.partition.fetch.bytes"] = "0x400000";
    CHECK(asked(256 * mib) == 4 << 20);
    world.settings.properties["max.partition.fetch.bytes"] = "100000";
    CHECK(asked(256 * mib) == 100'000);
}

TEST_CASE("what is left over is handed on in order, in whatever portions it is taken") {
    World world;
    const std::string topic = world.topic_of(10);
    auto made = Consumer::create(world.settings, {});
    REQUIRE(made);
    Consumer& consumer = **made;
    REQUIRE(consumer.assign({topic, 0}, 0, -1));
    std::vector<Message> all;
    std::vector<Message> batch;
    while (all.size() < 10) {
        REQUIRE(consumer.consume(batch, 10, Milliseconds{1000}));
        for (auto& message : batch) {
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) all.push_back(std::move(message));
        }
    }
    consumer.keep(std::move(all));
    REQUIRE(consumer.consume(batch, 4, Milliseconds{0}));
    REQUIRE(batch.size() == 4);
    // The range ended after the first of them, with six still left over.
    consumer.keep({std::make_move_iterator(batch.begin() + 1), std::make_move_iterator(batch.end())});
    std::vector<std::int64_t> offsets;
    while (offsets.size() < 9) {
        REQUIRE(consumer.consume(batch, 2, Milliseconds{0}));
        REQUIRE_FALSE(batch.empty());
        for (const auto& message : batch) offsets.push_back(message->offset);
    }
    CHECK(offsets == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("what is done with is freed with all that was queued at once, or at once where it is much or cores are few") {
    constexpr std::uint64_t of_record = 330;
    World world;
    const std::string topic = world.topic_of(3000);
    /// Held while each of thirty chunks was with the sink; the first one is a record alone.
    const auto held = [&](std::size_t cores, std::uint64_t memory_max) {
        ConsumerPool pool({.capacity = 1, .memory_max = memory_max, .cores = cores});
        auto lease = pool.lease(world.settings, {topic, 0}, 0, -1, {}, {});
        REQUIRE(lease);
        REQUIRE(test::wait_until([&] { return pool.stats().queued_bytes >= 2500 * of_record; }));
        std::vector<std::uint64_t> bytes;
        ReadOptions options;
        options.chunk_records = 100;
        REQUIRE(read_range(*lease, {{topic, 0}, 0, 3000}, options,
                           [&](std::span<const sluice_record>) -> Result<void> {
                               bytes.push_back(pool.stats().handed_bytes);
                               return {};
                           },
                           {}));
        { const Lease ended = std::move(*lease); }
        CHECK(pool.stats().handed_bytes == 0);
        REQUIRE(bytes.size() >= 30);
        return bytes;
    };
    CHECK(held(2, 256ULL << 20)[19] >= 1900 * of_record);
    const auto alone = held(1, 256ULL << 20);
    CHECK(*std::max_element(alone.begin(), alone.end()) < 200 * of_record);
    // Of so much memory 9/32, which 1,000 records have not filled and 2,000 would have.
    const auto little = held(2, 2ULL << 20);
    CHECK(little[9] >= 900 * of_record);
    CHECK(*std::max_element(little.begin(), little.end()) <= (2ULL << 20) / 32 * 9);
    CHECK(little[24] < 200 * of_record);
}

TEST_CASE("what is done with is freed once its queue has been empty") {
    constexpr std::uint64_t of_record = 330;
    World world;
    const std::string topic = world.topic_of(2000);
    ConsumerPool pool({.capacity = 1, .cores = 2});
    auto lease = pool.lease(world.settings, {topic, 0}, 0, -1, {}, {});
    REQUIRE(lease);
    REQUIRE(test::wait_until([&] { return pool.stats().queued_bytes >= 2000 * of_record; }));
    test::Kafka kafka(world.broker->bootstrap_servers());
    ReadOptions options;
    options.chunk_records = 100;
    std::int64_t read = 0;
    std::uint64_t held_at_most = 0;
    std::uint64_t held = 0;
    std::jthread producer;
    REQUIRE(read_range(*lease, {{topic, 0}, 0, 2010}, options,
                       [&](std::span<const sluice_record> records) -> Result<void> {
                           read += static_cast<std::int64_t>(records.size());
                           held = pool.stats().handed_bytes;
                           held_at_most = std::max(held_at_most, held);
                           if (read != 2000) return {};
                           producer = std::jthread([&] {
                               (void)test::wait_until([&] { return pool.stats().handed_bytes < 200 * of_record; });
                               kafka.produce_numbers(topic, 0, 10);
                           });
                           return {};
                       },
                       {}));
    CHECK(held_at_most >= 1900 * of_record);
    CHECK(held < 200 * of_record);
}

TEST_CASE("idle consumers give up what they fetched where it would be more than memoryMax") {
    World world;
    const std::string topic = world.topic_of(2000, 3);
    PoolOptions little;
    little.memory_max = 1;
    ConsumerPool pool(little);
    for (std::int32_t p = 0; p < 3; ++p) CHECK(world.read(pool, {{topic, p}, 0, 100}) == numbers(0, 100));
    CHECK(pool.stats().unassigned_for_memory >= 2);
    CHECK(world.read(pool, {{topic, 0}, 100, 200}) == numbers(100, 200));
    CHECK(pool.stats().hits_position == 0);
    CHECK(pool.stats().memory_max == 1);
    pool.forget(world.settings);

    ConsumerPool enough({});
    for (std::int32_t p = 0; p < 3; ++p) CHECK(world.read(enough, {{topic, p}, 0, 100}) == numbers(0, 100));
    CHECK(enough.stats().unassigned_for_memory == 0);
    CHECK(enough.stats().queued_bytes > 0);
    CHECK(world.read(enough, {{topic, 0}, 100, 200}) == numbers(100, 200));
    CHECK(enough.stats().hits_position == 1);
    enough.forget(world.settings);
}

TEST_CASE("a client whose queue would fill with keys or headers, which it does not count, is replaced in the middle of a range") {
    for (const std::string large : {"key", "header"}) {
        CAPTURE(large);
        World world;
        const std::string topic = test::Kafka::unique("pool");
        REQUIRE(world.broker->create_topic(topic, 1));
        test::Kafka kafka(world.broker->bootstrap_servers());
        kafka.produce(topic, 900, [&](std::int64_t id) {
            test::Record record;
            record.value = std::to_string(id);
            const std::string text(id < 300 ? 10 : 5'000, 'x');
            if (large == "key") record.key = text;
            if (large == "header") record.headers.emplace_back("trace", text);
            return record;
        });
        ConsumerPool pool({});
        CHECK(world.read(pool, {{topic, 0}, 0, 250}) == numbers(0, 250));
        CHECK(pool.stats().closed == 0);
        CHECK(world.read(pool, {{topic, 0}, 250, 700}) == numbers(250, 700));
        CHECK(pool.stats().closed == 1);
        CHECK(world.read(pool, {{topic, 0}, 700, 900}) == numbers(700, 900));
        const PoolStats stats = pool.stats();
        CHECK(stats.closed == 1);
        CHECK(stats.clients == 1);
        CHECK(stats.leased == 0);
        CHECK(stats.hits_position == 2);
        pool.forget(world.settings);
    }
}

TEST_CASE("a few records with large headers among many are no reason to replace a client, and nothing is lost over them") {
    World world;
    const std::string topic = test::Kafka::unique("pool");
    REQUIRE(world.broker->create_topic(topic, 1));
    test::Kafka kafka(world.broker->bootstrap_servers());
    kafka.produce(topic, 900, [&](std::int64_t id) {
        test::Record record;
        record.value = std::to_string(id);
        if (id % 300 == 0) record.headers.emplace_back("trace", std::string(100'000, 'x'));
        return record;
    });
    ConsumerPool pool({});
    // Each begins at one of them, which is looked at closely.
    CHECK(world.read(pool, {{topic, 0}, 0, 50}) == numbers(0, 50));
    CHECK(world.read(pool, {{topic, 0}, 50, 300}) == numbers(50, 300));
    CHECK(world.read(pool, {{topic, 0}, 300, 301}) == numbers(300, 301));
    CHECK(world.read(pool, {{topic, 0}, 301, 900}) == numbers(301, 900));
    CHECK(pool.stats().closed == 0);
    CHECK(pool.stats().hits_position == 3);
    pool.forget(world.settings);
}

TEST_CASE("with more partitions than clients the ones to be moved next are let go beforehand") {
    World world;
    const std::string topic = world.topic_of(10, 6);
    PoolOptions few;
    few.capacity = 3;
    ConsumerPool pool(few);
    for (std::int32_t p = 0; p < 6; ++p) CHECK(world.read(pool, {{topic, p}, 0, 10}) == numbers(0, 10));
    const PoolStats stats = pool.stats();
    CHECK(stats.misses == 3);
    CHECK(stats.hits_reassigned == 2);  // the first one moved, and the one after the one let go with it
    CHECK(stats.hits_unassigned == 1);
    pool.forget(world.settings);
}

TEST_CASE("a pipeline leaves consumers to those that have none, half of the capacity at most") {
    World world;
    const std::string topic = world.topic_of(10);
    PoolOptions few;
    few.capacity = 4;
    ConsumerPool pool(few);
    ClientSettings other = world.settings;
    other.pipeline = "other";
    // Of records that are known, none of the leases below waits for memory.
    CHECK(world.read(pool, {{topic, 0}, 0, 10}, false) == numbers(0, 10));
    std::swap(world.settings, other);
    CHECK(world.read(pool, {{topic, 0}, 0, 10}, false) == numbers(0, 10));
    std::swap(world.settings, other);
    std::stop_source no_waiting;
    no_waiting.request_stop();
    const auto lease = [&](const ClientSettings& settings) {
        return pool.lease(settings, {topic, 0}, 0, -1, {}, no_waiting.get_token());
    };
    for (const auto& [pipelines, most] : std::vector<std::pair<std::size_t, std::size_t>>{{1, 4}, {2, 3}, {100, 2}}) {
        CAPTURE(pipelines);
        pool.share_among(pipelines);
        std::vector<Lease> leases;
        for (std::size_t i = 0; i < most; ++i) {
            auto one = lease(world.settings);
            REQUIRE(one);
            leases.push_back(std::move(*one));
        }
        auto too_many = lease(world.settings);
        REQUIRE_FALSE(too_many);
        CHECK(too_many.error().code == ErrorCode::stopping);
        CHECK(bool(lease(other)) == (most < 4));
        leases.pop_back();
        CHECK(lease(world.settings));
    }
}

TEST_CASE("a lease waits while those that run might come to hold all the memory, until they are known not to") {
    World world;
    const std::string topic = world.topic_of(100, 3);
    PoolOptions options;
    options.capacity = 8;  // half of the memory each, before a record was seen
    ConsumerPool pool(options);
    const auto lease = [&](std::int32_t partition, const std::stop_token& stop) {
        return pool.lease(world.settings, {topic, partition}, 0, -1, {}, stop);
    };
    auto first = lease(0, {});
    REQUIRE(first);
    const auto second = lease(1, {});
    REQUIRE(second);
    CHECK(pool.stats().waits_for_memory == 0);
    std::stop_source no_waiting;
    no_waiting.request_stop();
    const auto too_many = lease(2, no_waiting.get_token());
    REQUIRE_FALSE(too_many);
    CHECK(too_many.error().code == ErrorCode::stopping);
    CHECK(pool.stats().waits_for_memory == 1);

    // It goes on while both are still lent: what one of them reads says that they are small.
    auto third = std::async(std::launch::async, [&] { return bool(lease(2, {})); });
    CHECK(test::wait_until([&] { return pool.stats().waits_for_memory == 2; }));
    CHECK(third.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout);
    std::uint64_t seen = 0;
    const auto counts = read_range(*first, {{topic, 0}, 0, 100}, {},
                                   [&](std::span<const sluice_record> records) -> Result<void> {
                                       seen += records.size();
                                       return {};
                                   },
                                   {});
    REQUIRE(counts);
    CHECK(seen == 100);
    CHECK(third.get());
    CHECK(pool.stats().leased == 2);
}

TEST_CASE("a lease that ends makes room for one that waits for memory, also of another pipeline") {
    World world;
    const std::string topic = world.topic_of(10);
    PoolOptions options;
    options.capacity = 8;
    ConsumerPool pool(options);
    pool.share_among(3);
    const auto lease = [&](const std::string& pipeline) {
        ClientSettings settings = world.settings;
        settings.pipeline = pipeline;
        return pool.lease(settings, {topic, 0}, 0, -1, {}, {});
    };
    std::vector<Lease> leases;
    for (const char* pipeline : {"a", "b"}) {
        auto one = lease(pipeline);
        REQUIRE(one);
        leases.push_back(std::move(*one));
    }
    auto waits = std::async(std::launch::async, [&] { return bool(lease("c")); });
    CHECK(test::wait_until([&] { return pool.stats().waits_for_memory == 1; }));
    leases.pop_back();
    CHECK(waits.get());
}

TEST_CASE("however little memory there is, leases are given, one after the other") {
    World world;
    const std::string topic = world.topic_of(50, 4);
    PoolOptions little;
    little.memory_max = 1;
    ConsumerPool pool(little);
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    std::atomic<int> failed{0};
    {
        std::vector<std::jthread> lanes;
        for (std::int32_t p = 0; p < 4; ++p) {
            lanes.emplace_back([&, p] {
                for (std::int64_t from = 0; from < 50; from += 10) {
                    auto one = pool.lease(world.settings, {topic, p}, from, -1, {}, {});
                    if (!one) {
                        ++failed;
                        return;
                    }
                    const int now = ++at_once;
                    if (now > most) most = now;
                    const auto counts = read_range(*one, {{topic, p}, from, from + 10}, {}, ignore, {});
                    if (!counts || counts->polled != 10) ++failed;
                    --at_once;
                }
            });
        }
    }
    CHECK(failed.load() == 0);
    CHECK(most.load() == 1);
    pool.forget(world.settings);
    CHECK(pool.stats().clients == 0);
}

TEST_CASE("clients that are lent, put to rest, moved and forgotten at once are all there in the end") {
    World world;
    const std::string topic = world.topic_of(40, 6);
    PoolOptions few;
    few.capacity = 3;
    few.unassign_after = Milliseconds{0};  // whatever is idle is put to rest each time
    ConsumerPool pool(few);
    std::atomic<int> failed{0};
    std::atomic<int> running{6};
    {
        std::vector<std::jthread> lanes;
        for (std::int32_t p = 0; p < 6; ++p) {
            lanes.emplace_back([&, p] {
                for (std::int64_t from = 0; from < 40; from += 10) {
                    auto one = pool.lease(world.settings, {topic, p}, from, -1, {}, {});
                    if (!one || !read_range(*one, {{topic, p}, from, from + 10}, {}, ignore, {})) ++failed;
                }
                --running;
            });
        }
        for (int turn = 0; running > 0; ++turn) {
            pool.tidy();
            if (turn % 16 == 15) pool.forget(world.settings);
            const PoolStats stats = pool.stats();
            CHECK(stats.clients <= 3);
            CHECK(stats.leased <= 3);
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }
    CHECK(failed.load() == 0);
    CHECK(pool.stats().leased == 0);
    pool.forget(world.settings);
    CHECK(pool.stats().clients == 0);
}
