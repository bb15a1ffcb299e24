// The sink beside a bare producer of the same records, in one run; prints ratios and asserts
// nothing.
//   tests/support/kafka.sh start build/deps/kafka DIR && export SLUICE_TEST_KAFKA=$(cat
//   DIR/bootstrap) bench_kafka [RECORDS] [ROUNDS]

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/kafka/handles.hpp"
#include "daemon/sink/plugin.hpp"
#include "tests/support/kafka_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int partitions = 4;
constexpr std::size_t chunk = 1000;

void need(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

/// 100 bytes of JSON and a key, four partitions.
struct Input {
    explicit Input(std::int64_t count) {
        const std::int64_t each = count / partitions;
        for (int p = 0; p < partitions; ++p) {
            auto& texts = values.emplace_back();
            auto& made = records.emplace_back();
            for (std::int64_t i = 0; i < each; ++i)
                texts.push_back("{\"id\":" + std::to_string(i * partitions + p) +
                                ",\"customer\":\"customer " + std::to_string(i * 7919 % 100'000) +
                                "\",\"amount\":" + std::to_string(i % 997) + ",\"note\":\"" +
                                std::string(30, 'x') + "\"}");
            for (std::int64_t i = 0; i < each; ++i) {
                const std::string& text = texts[static_cast<std::size_t>(i)];
                made.push_back({{reinterpret_cast<const std::uint8_t*>("key"), 3},
                                {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                                SLUICE_STRING("orders"),
                                i,
                                1'700'000'000'000 + i,
                                p,
                                SLUICE_TIMESTAMP_CREATE,
                                nullptr});
            }
        }
    }
    std::vector<std::vector<std::string>> values;
    std::vector<std::vector<sluice_record>> records;
};

double seconds(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// librdkafka as a program of its own would use it: idempotent, or with one transaction around all.
void bare(const std::string& bootstrap, const std::string& topic, const Input& input,
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
        check(rd_kafka_begin_transaction(client.get()));
    }
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
}

void through_sink(sink::Sink& sink, std::uint64_t batch, const Input& input) {
    std::vector<sink::Range> ranges;
    for (int p = 0; p < partitions; ++p)
        ranges.push_back({"orders", p, static_cast<std::uint32_t>(p), 0,
                          static_cast<std::int64_t>(input.records[0].size()), "t"});
    const auto ok = [](const sink::Reply& reply) {
        need(reply.status == sink::Status::ok, reply.message);
    };
    ok(sink.begin({batch, false, ranges}));
    for (const auto& range : ranges) {  // an ordered sink is fed so
        auto writer = sink.open_writer(range).writer;
        const auto& records = input.records[range.index];
        for (std::size_t at = 0; at < records.size(); at += chunk) {
            const std::size_t size = std::min(chunk, records.size() - at);
            const sink::WriteReply reply = writer->write({records.data() + at, size});
            need(reply.status == sink::Status::ok, reply.message);
        }
        ok(writer->close(true));
    }
    ok(sink.commit(batch));
}

}  // namespace

int main(int count, char** arguments) {
    const std::int64_t records = count > 1 ? std::atoll(arguments[1]) : 1'000'000;
    const int rounds = count > 2 ? std::atoi(arguments[2]) : 5;
    const Input input(records);
    Kafka& cluster = Kafka::real();
    const auto plugin =
        sink::load_plugin(std::string(SLUICE_TEST_BINARY_DIR) + "/lib/sluice/kafka.so");
    need(plugin.has_value(), "no plugin");
    static const std::atomic<bool> stopping{false};
    std::map<std::string, std::vector<double>> times;
    for (int round = 0; round < rounds;
         ++round) {  // interleaved: what the machine does hits all alike
        const std::string topic = Kafka::unique("bench");
        cluster.create_topic(topic, partitions);
        const auto sinks = [&](const char* transactions) {
            const sink::Settings settings{
                {"kafka", "{\"bootstrap.servers\":\"" + cluster.bootstrap() + "\"}"},
                {"topic", topic},
                {"transactions", transactions}};
            auto opened = (*plugin)->open({topic, "source", 0, {}}, settings, stopping);
            need(opened.sink != nullptr, opened.reply.message);
            return seconds([&] { through_sink(*opened.sink, 0, input); });
        };
        times["bare, idempotent"].push_back(
            seconds([&] { bare(cluster.bootstrap(), topic, input, false); }));
        times["sink, transactions: true"].push_back(sinks("true"));
        times["bare, one transaction"].push_back(
            seconds([&] { bare(cluster.bootstrap(), topic, input, true); }));
        times["sink, transactions: false"].push_back(sinks("false"));
        cluster.delete_topic(topic);
    }
    const auto median = [](std::vector<double> all) {
        std::sort(all.begin(), all.end());
        return all[all.size() / 2];
    };
    const double base = median(times["bare, idempotent"]);
    for (const auto& [name, all] : times)
        std::printf("%-26s %.2f s  %.0f records/s  ratio %.2f\n", name.c_str(), median(all),
                    static_cast<double>(records) / median(all), base / median(all));
    return 0;
}
