// The sink beside a bare producer of the same records, in one run; prints ratios and asserts
// nothing.
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
    Rounds all;
    for (int round = 0; round < rounds; ++round) {
        const std::string topic = Kafka::unique("bench");
        cluster.create_topic(topic, BenchInput::partitions);
        const auto through = [&](const char* transactions) {
            const sink::Settings settings{
                {"kafka", "{\"bootstrap.servers\":\"" + cluster.bootstrap() + "\"}"},
                {"topic", topic},
                {"transactions", transactions}};
            auto opened = (*plugin)->open({topic, "source", 0, {}}, settings, stopping);
            need(opened.sink != nullptr, opened.reply.message);
            return cost_of([&] { through_sink(*opened.sink, input); });
        };
        all.add("bare, idempotent", bare(cluster.bootstrap(), topic, input, false));
        all.add("sink, transactions: true", through("true"));
        all.add("bare, one transaction", bare(cluster.bootstrap(), topic, input, true));
        all.add("sink, transactions: false", through("false"));
        cluster.delete_topic(topic);
    }
    all.print(records, "bare, one transaction");
    return 0;
}
