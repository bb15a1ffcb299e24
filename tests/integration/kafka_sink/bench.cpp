// The sink beside a bare producer of the same records that promises the same, in one run: prints ratios,
// and counts what arrived.
//   tests/support/kafka.sh start build/deps/kafka DIR && export SLUICE_TEST_KAFKA=$(cat
//   DIR/bootstrap) bench_kafka [RECORDS] [ROUNDS]

#include <array>
#include <cstdlib>
#include <map>
#include <string>

#include "daemon/kafka/handles.hpp"
#include "tests/integration/sink_bench.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

/// librdkafka as a program of its own would use it: idempotent, or with one transaction around all.
Cost bare(const std::string& bootstrap, const std::string& topic, const BenchInput& input,
          bool transaction) {
    std::array<char, 512> text{};
    kafka::Conf conf{rd_kafka_conf_new()};
    std::map<std::string, std::string> properties{{"bootstrap.servers", bootstrap},
                                                  {"enable.idempotence", "true"}};
    if (transaction) properties["transactional.id"] = topic;
    for (const auto& [name, value] : properties)
        need(rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text.data(), text.size()) ==
                 RD_KAFKA_CONF_OK,
             text.data());
    const kafka::Client client{
        rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text.data(), text.size())};
    need(client != nullptr, text.data());
    (void)conf.release();
    const auto check = [](rd_kafka_error_t* raw) {
        if (const kafka::ErrorHandle error{raw}) need(false, rd_kafka_error_string(error.get()));
    };
    if (transaction) {
        check(rd_kafka_init_transactions(client.get(), 30'000));
    }
    return cost_of([&] {
        if (transaction) check(rd_kafka_begin_transaction(client.get()));
        for (const auto& records : input.records)
            for (const sluice_record& record : records)
                while (rd_kafka_producev(
                           client.get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                           RD_KAFKA_V_PARTITION(record.partition),
                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                           RD_KAFKA_V_KEY(const_cast<std::uint8_t*>(record.key.data), record.key.size),
                           RD_KAFKA_V_VALUE(const_cast<std::uint8_t*>(record.value.data),
                                            record.value.size),
                           RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
                           RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                    rd_kafka_poll(client.get(), 10);
        if (transaction) {
            check(rd_kafka_commit_transaction(client.get(), 120'000));
        } else {
            need(rd_kafka_flush(client.get(), 120'000) == RD_KAFKA_RESP_ERR_NO_ERROR, "flush");
        }
    });
}

void through_sink(sink::Sink& sink, const BenchInput& input) {
    const auto ok = [](const sink::Reply& reply) {
        need(reply.status == sink::Status::ok, reply.message);
    };
    ok(sink.begin({0, false, input.ranges()}));
    for (const auto& range : input.ranges()) input.write(sink, range);  // an ordered sink is fed so
    ok(sink.commit(0));
}

}  // namespace

int main(int count, char** arguments) {
    const std::int64_t records = count > 1 ? std::atoll(arguments[1]) : 1'000'000;
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 5;
    const BenchInput input(records);
    Kafka& cluster = Kafka::real();
    const auto plugin =
        sink::load_plugin(std::string(SLUICE_TEST_BINARY_DIR) + "/lib/sluice/kafka.so");
    need(plugin.has_value(), "no plugin");
    static const std::atomic<bool> stopping{false};
    Rounds transactional;
    Rounds idempotent;
    for (int round = 0; round < rounds; ++round) {
        // Into a topic of its own each, so that what arrived can be counted.
        const auto into_topic = [&](bool transaction, auto send) {
            const std::string topic = Kafka::unique("bench");
            cluster.create_topic(topic, BenchInput::partitions);
            const Cost cost = send(topic);
            const std::int64_t sent = input.each * BenchInput::partitions;
            std::int64_t arrived = 0;
            // The control records of a commit are written after it was answered.
            const bool is_all = wait_until([&] {
                arrived = 0;
                for (std::int32_t p = 0; p < BenchInput::partitions; ++p)
                    arrived += cluster.watermarks(topic, p).high - (transaction ? 1 : 0);
                return arrived == sent;
            });
            need(is_all, std::to_string(arrived) + " records arrived of " + std::to_string(sent));
            cluster.delete_topic(topic);
            return cost;
        };
        const auto through = [&](const char* transactions) {
            return [&, transactions](const std::string& topic) {
                const sink::Settings settings{
                    {"kafka", "{\"bootstrap.servers\":\"" + cluster.bootstrap() + "\"}"},
                    {"topic", topic},
                    {"transactions", transactions}};
                auto opened = (*plugin)->open({topic, "source", 0, {}}, settings, stopping);
                need(opened.sink != nullptr, opened.reply.message);
                return cost_of([&] { through_sink(*opened.sink, input); });
            };
        };
        const auto beside = [&](bool transaction) {
            return [&, transaction](const std::string& topic) {
                return bare(cluster.bootstrap(), topic, input, transaction);
            };
        };
        idempotent.add("bare, idempotent", into_topic(false, beside(false)));
        transactional.add("sink, transactions: true", into_topic(true, through("true")));
        transactional.add("bare, one transaction", into_topic(true, beside(true)));
        idempotent.add("sink, transactions: false", into_topic(false, through("false")));
    }
    transactional.print(records, "bare, one transaction");
    idempotent.print(records, "bare, idempotent");
    return 0;
}
