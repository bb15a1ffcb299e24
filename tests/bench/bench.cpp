// sluice beside bare librdkafka on a real Kafka, in one run, alternating: `./run bench`.
//
//   bench [--rounds N] [--scale F] [--only TEXT] [--json FILE] [--svg FILE] [--peers JARS]
//   bench raw BOOTSTRAP TOPIC PARTITIONS CLIENTS [OUT]      one raw row, in a process of its own

#include <librdkafka/rdkafka.h>
#include <sys/utsname.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <thread>

#include "daemon/base/clock.hpp"
#include "daemon/config/rfc3339.hpp"
#include "daemon/control/client.hpp"
#include "daemon/plan/planner.hpp"
#include "tests/bench/connect.hpp"
#include "tests/bench/pool_effect.hpp"
#include "tests/bench/process.hpp"
#include "tests/bench/raw_reader.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/scale.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/e2e.hpp"
#include "tests/support/memory_cgroup.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

struct Options {
    int rounds = 5;
    double scale = 1;
    std::string only;  ///< workloads and parts whose name has this
    std::string json_file;
    std::string svg_file;
    std::string connect_jars;  ///< empty: no peers
};

struct Workload {
    std::string name;
    int partitions = 4;
    std::int64_t records = 0;
    std::size_t bytes = 100;
    std::string compression = "none";
};

/// One row of the table, and how a round of it is run.
struct Runner {
    std::string name;
    std::string kind;
    bool is_raw = false;
    std::function<Cost()> run;
};

std::string binary(const std::string& name) { return std::string(SLUICE_TEST_BINARY_DIR) + "/bin/" + name; }

void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

std::string value_of(const Workload& workload, std::int64_t i) {
    std::string value = "{\"id\":" + std::to_string(i) + ",\"customer\":\"customer " +
                        std::to_string(i * 7919 % 100'000) + "\",\"note\":\"";
    static const std::string words = "the quick brown fox jumps over the lazy dog, again and again, until it rests; ";
    while (value.size() + 2 < workload.bytes) {
        value += words.substr(static_cast<std::size_t>(i) % 40, std::min<std::size_t>(workload.bytes - value.size() - 2, 38));
    }
    return value + "\"}";
}

std::string load(test::Kafka& kafka, const Workload& workload) {
    const std::string topic = test::Kafka::unique("bench");
    kafka.create_topic(topic, workload.partitions, {{"retention.ms", "-1"}});
    say("loading " + std::to_string(workload.records) + " records: " + workload.name);
    kafka.produce(
        topic, workload.records,
        [&](std::int64_t i) {
            test::Record record;
            record.partition = static_cast<std::int32_t>(i % workload.partitions);
            record.value = value_of(workload, i);
            return record;
        },
        {{"compression.codec", workload.compression}, {"linger.ms", "20"}, {"batch.size", "1000000"}});
    return topic;
}

/// Marks rows that are not sluice as it comes.
/// The default. Memory is divided among as many consumers as there may be: the other rows have as many as workers.
const std::string of_sixteen = ", consumers.capacity 16";
std::string as_many_consumers(int n) { return "consumers: {capacity: " + std::to_string(n) + "}\n"; }

class Bench {
 public:
    explicit Bench(Options options) : options_(std::move(options)), kafka_(test::Kafka::real()), folder_("bench") {}

    void run() {
        const auto scaled = [&](double millions) {
            return static_cast<std::int64_t>(millions * 1e6 * options_.scale);
        };
        throughput({"10 M x 100 B, 4 partitions", 4, scaled(10), 100, "none"}, {1, 2, 4}, true);
        throughput({"5 M x 100 B, 1 partition", 1, scaled(5), 100, "none"}, {1}, true);
        throughput({"1 M x 1 KB JSON, lz4, 4 partitions", 4, scaled(1), 1000, "lz4"}, {4}, false);
        throughput({"1 M x 1 KB JSON, zstd, 4 partitions", 4, scaled(1), 1000, "zstd"}, {4}, false);
        if (wants("memory")) memory(scaled(10));
        if (wants("one record")) one_record();
        for (const int partitions : {1, 10, 1'000}) {
            if (wants("trickle")) trickle(partitions);
        }
        if (wants("idle")) idle();
        if (wants("planning")) planning();
        if (wants("pool")) pool();
        if (wants("scale")) partitions();
        if (wants("idle pipelines")) idle_pipelines();
        if (wants("busy pipelines")) busy_pipelines();
    }

    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
    [[nodiscard]] const std::vector<Figure>& figures() const { return figures_; }

 private:
    [[nodiscard]] bool wants(const std::string& part) const { return part.find(options_.only) != std::string::npos; }

    /// A daemon that drains `topic` and ends.
    std::vector<std::string> sluice(const std::string& topic, int workers, const std::string& sink,
                                    const std::string& source_extra = "", const std::string& top = "") {
        fs::remove_all(folder_.path());
        fs::create_directories(folder_.path());
        test::PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.sink = sink;
        if (sink.find("file") != std::string::npos) pipeline.out = folder_.path() / "out";
        pipeline.source_extra = "maxOffsetsPerTrigger: 5000000\n" + source_extra;
        const auto file = folder_.path() / "sluice.yaml";
        std::ofstream(file) << top + "workers: " + std::to_string(workers) + "\n" +
                                   test::config_yaml(folder_.path(),
                                                     test::pipeline_yaml(kafka_.bootstrap(), pipeline));
        return {binary("sluiced"), "--config", file};
    }
    std::vector<std::string> raw(const std::string& topic, int partitions, int clients, int fetch_bytes, bool to_files) {
        std::vector<std::string> command{fs::read_symlink("/proc/self/exe"), "raw", kafka_.bootstrap(), topic,
                                         std::to_string(partitions), std::to_string(clients), std::to_string(fetch_bytes)};
        if (to_files) {
            const auto out = folder_.path() / "raw";
            fs::remove_all(out);
            fs::create_directories(out);
            command.push_back(out);
        }
        return command;
    }

    void throughput(const Workload& workload, const std::vector<int>& clients, bool to_files) {
        if (!wants(workload.name)) return;
        const std::string topic = load(kafka_, workload);
        const std::string discard = "plugin: discard\n";
        const std::string file = "plugin: file\nformat: value\n";
        std::vector<Runner> runners;
        const auto ended = [this](const std::vector<std::string>& command) {
            return bench::run(command, folder_.path() / "log");
        };
        const auto many = [](int n, const std::string& one) { return std::to_string(n) + " " + one + (n == 1 ? "" : "s"); };
        constexpr int large_fetches = 10 << 20;
        constexpr int small_fetches = 512 << 10;  // faster where records are compressed
        const auto add_raw = [&](int n, int fetch_bytes, bool files) {
            runners.push_back({"librdkafka" + std::string(files ? " to files" : "") + ", " + many(n, "client") +
                                   (fetch_bytes == small_fetches ? ", small fetches" : ""),
                               files ? "files" : "nothing", true,
                               [=, this] { return ended(raw(topic, workload.partitions, n, fetch_bytes, files)); }});
        };
        const int most = clients.back();
        for (const int n : clients) {
            add_raw(n, large_fetches, false);
            runners.push_back({"sluice discard, " + many(n, "worker"), "nothing", false,
                               [=, this] { return ended(sluice(topic, n, discard, "", as_many_consumers(n))); }});
        }
        add_raw(most, small_fetches, false);
        runners.push_back({"sluice discard, " + many(most, "worker") + of_sixteen, "nothing", false,
                           [=, this] { return ended(sluice(topic, most, discard, "", as_many_consumers(16))); }});
        if (workload.partitions == 1) {  // beside each other, and beside neither's unsplit rows
            runners.push_back({"librdkafka, 2 clients on halves", "halves", true,
                               [=, this] { return ended(raw(topic, 1, 2, large_fetches, false)); }});
            runners.push_back({"sluice discard, in 2 halves", "halves", false,
                               [=, this] { return ended(sluice(topic, 2, discard, "minPartitions: 2\n", as_many_consumers(2))); }});
        }
        for (const int n : to_files ? clients : std::vector<int>()) {
            add_raw(n, large_fetches, true);
            runners.push_back({"sluice file, " + many(n, "worker"), "files", false,
                               [=, this] { return ended(sluice(topic, n, file, "", as_many_consumers(n))); }});
        }
        if (to_files && !options_.connect_jars.empty()) {
            std::uint64_t bytes = 0;
            for (std::int64_t i = 0; i < workload.records; ++i) bytes += value_of(workload, i).size() + 1;
            runners.push_back({"Kafka Connect FileStreamSink, 2 tasks", "files", false, [=, this] {
                                   return run_connect({options_.connect_jars, folder_.path() / "connect",
                                                       kafka_.bootstrap(), topic, 2, bytes});
                               }});
        }
        const std::size_t first = rows_.size();
        for (const Runner& runner : runners) {
            rows_.push_back({workload.name, runner.name, runner.kind, runner.is_raw, workload.records, {}});
        }
        for (int round = 0; round <= options_.rounds; ++round) {  // the first one warms the page cache
            say(workload.name + ": round " + std::to_string(round) + " of " + std::to_string(options_.rounds));
            for (std::size_t i = 0; i < runners.size(); ++i) {
                const Cost cost = runners[i].run();
                if (round > 0) rows_[first + i].rounds.push_back(cost);
            }
        }
        kafka_.delete_topic(topic);
        targets(first);
    }

    /// What design targets say of the rows from `first` on: the best of sluice's beside the best of librdkafka's.
    void targets(std::size_t first) {
        const std::vector<Row> rows(rows_.begin() + static_cast<std::ptrdiff_t>(first), rows_.end());
        const Row* halves = nullptr;
        const Row* whole = nullptr;
        for (const Row& row : rows) {
            if (row.kind == "halves" && !row.is_raw) halves = &row;
        }
        for (const auto& [kind, target] : {std::pair{"nothing", ">= 0.95"}, {"files", ">= 0.9"}}) {
            const Row* best = nullptr;
            for (const Row& row : rows) {
                if (!row.name.starts_with("sluice") || row.kind != kind) continue;
                if (row.name.ends_with(of_sixteen)) {
                    figure(row.workload + ", to " + kind + of_sixteen + ": rate beside the best librdkafka", "x",
                           {ratio(row, rows)}, ">= 0.95");
                    continue;
                }
                if (best == nullptr || rate(row).median > rate(*best).median) best = &row;
            }
            if (best == nullptr) continue;
            if (std::string(kind) == "nothing") whole = best;
            const std::string what = best->workload + ", to " + kind + ": ";
            figure(what + "rate beside the best librdkafka", "x", {ratio(*best, rows)}, target);
            figure(what + "CPU per record beside it", "x", {cpu_ratio(*best, rows)}, "<= 1.2");
        }
        if (halves == nullptr || whole == nullptr) return;
        figure(halves->workload + ": halves beside unsplit", "x", {rate(*halves).median / rate(*whole).median}, ">= 1.6");
        figure(halves->workload + ", halves: rate beside librdkafka's", "x", {ratio(*halves, rows)}, ">= 0.95");
    }

    void figure(const std::string& name, const std::string& unit, std::vector<double> values, const std::string& target) {
        figures_.push_back({name, unit, spread(std::move(values)), target});
    }

    /// Far behind, with a memoryMax that is small for the machine's sake.
    void memory(std::int64_t records) {
        constexpr std::uint64_t mib = 1 << 20;
        constexpr std::uint64_t memory_max = 128;
        const std::string topic = load(kafka_, {"far behind", 4, records, 100, "none"});
        for (const std::string sink : {"discard", "file"}) {
            std::vector<double> peaks;
            const auto cgroup = test::MemoryCgroup::make((memory_max + 64) * mib);
            for (int round = 0; round < options_.rounds; ++round) {
                auto command = sluice(topic, 2, "plugin: " + sink + "\n", "",
                                      "memoryMax: " + std::to_string(memory_max) + "MiB\n");
                const auto wrapper = cgroup ? cgroup->wrapper() : std::vector<std::string>();
                command.insert(command.begin(), wrapper.begin(), wrapper.end());
                peaks.push_back(bench::run(command, folder_.path() / "log").rss_mib);
            }
            figure(std::to_string(records) + " records behind, memoryMax 128 MiB, to " + sink +
                       (cgroup ? ", in a cgroup of memoryMax + 64 MiB" : "") + ": peak memory",
                   "MiB", peaks, "<= 192");
        }
        kafka_.delete_topic(topic);
    }

    void one_record() {
        const std::string topic = test::Kafka::unique("bench-one");
        kafka_.create_topic(topic, 1);
        kafka_.produce_numbers(topic, 0, 1);
        std::vector<double> to_commit;
        std::vector<double> to_exit;
        for (int round = 0; round < options_.rounds; ++round) {
            const auto command = sluice(topic, 1, "plugin: discard\n");
            const WallTime started = system_clock().wall();
            to_exit.push_back(bench::run(command, folder_.path() / "log").wall_s);
            to_commit.push_back(std::chrono::duration<double>(logged_at("batch committed") - started).count());
        }
        figure("one record, from the start of the process to its commit", "s", to_commit, "< 0.3 to the first record");
        figure("one record, from the start of the process to its exit", "s", to_exit, "");
    }

    /// When the daemon that ran last said so first.
    WallTime logged_at(const std::string& text) const {
        std::ifstream log(folder_.path() / "log");
        for (std::string line; std::getline(log, line);) {
            if (line.find(text) == std::string::npos) continue;
            if (const auto time = config::parse_rfc3339(line.substr(0, line.find(' ')))) return *time;
        }
        throw std::runtime_error("the daemon did not log: " + text);
    }

    /// A daemon that goes on, over `topics`, one pipeline each.
    std::vector<std::string> tail(const std::vector<std::string>& topics, const std::string& interval,
                                  const std::string& source_extra = "") {
        fs::remove_all(folder_.path());
        fs::create_directories(folder_.path());
        std::string pipelines;
        for (std::size_t i = 0; i < topics.size(); ++i) {
            test::PipelineYaml pipeline;
            pipeline.name = "p" + std::to_string(i);
            pipeline.topics = {topics[i]};
            pipeline.trigger = "{ processingTime: " + interval + " }";
            pipeline.sink = "plugin: discard\n";
            pipeline.source_extra = source_extra;
            pipelines += test::pipeline_yaml(kafka_.bootstrap(), pipeline);
        }
        const auto file = folder_.path() / "sluice.yaml";
        std::ofstream(file) << test::config_yaml(folder_.path(), pipelines);
        return {binary("sluiced"), "--config", file};
    }

    /// One record at a time, in one of so many partitions that are all asked for.
    void trickle(int partitions) {
        const std::string topic = test::Kafka::unique("bench-trickle");
        kafka_.create_topic(topic, partitions);
        kafka_.produce_numbers(topic, 0, 1);
        const Running daemon(tail({topic}, "10ms"), folder_.path() / "log");
        std::this_thread::sleep_for(std::chrono::seconds{2});
        std::vector<double> trigger_ms;
        std::vector<double> synced_ms;
        for (int i = 0; i < 40; ++i) {
            const Spent before = spent();
            kafka_.produce_numbers(topic, 0, 1);
            std::this_thread::sleep_for(std::chrono::milliseconds{50});  // a look takes of the time it looks at
            Spent after = before;
            if (!test::wait_until([&] { return (after = spent()).batches > before.batches; })) {
                throw std::runtime_error("a record was not committed; see " + (folder_.path() / "log").string());
            }
            if (after.batches - before.batches > 1.5) continue;  // a batch that was late: no telling them apart
            trigger_ms.push_back(after.trigger_ms - before.trigger_ms);
            synced_ms.push_back(after.synced_ms - before.synced_ms);
        }
        kafka_.delete_topic(topic);
        const std::string name =
            "a trigger that finds one record" + (partitions == 1 ? ": " : " in " + std::to_string(partitions) + " partitions: ");
        figure(name + "look-up, plan, and the batch until its sink's commit", "ms", trigger_ms, partitions == 1 ? "< 10" : "");
        figure(name + "its PLAN and COMMIT, synced", "ms", synced_ms, "");
    }

    /// What the batches of p0 took so far, as /metrics has it.
    struct Spent {
        double batches = 0;
        double trigger_ms = 0;  ///< from the look-up to the sink's commit, without what is synced
        double synced_ms = 0;
    };
    Spent spent() const {
        const auto scrape = control::call(folder_.path() / "data" / "control.sock", "GET", "/metrics");
        if (!scrape) throw std::runtime_error("no metrics: " + scrape.error().message);
        const auto value = [&](const std::string& what, const std::string& phase) {
            const std::string name =
                "sluice_batch_duration_seconds_" + what + "{pipeline=\"p0\",phase=\"" + phase + "\"} ";
            const auto at = scrape->body.find(name);
            return at == std::string::npos ? 0.0 : std::stod(scrape->body.substr(at + name.size(), 40));
        };
        Spent so_far{value("count", "total"), 0, value("sum", "checkpoint") * 1000};
        for (const char* phase : {"latest_offsets", "plan", "split", "total"}) so_far.trigger_ms += value("sum", phase) * 1000;
        return so_far;
    }

    void idle() {
        const std::string topic = test::Kafka::unique("bench-idle");
        kafka_.create_topic(topic, 4);
        kafka_.produce_numbers(topic, 0, 100);
        std::vector<double> percent, mib;
        for (int round = 0; round < options_.rounds; ++round) {
            const Running daemon(tail({topic}, "1s"), folder_.path() / "log");
            std::this_thread::sleep_for(std::chrono::seconds{5});
            const double before = daemon.cpu_s();
            std::this_thread::sleep_for(std::chrono::seconds{10});
            percent.push_back((daemon.cpu_s() - before) * 10);
            mib.push_back(daemon.rss_mib());
        }
        figure("idle, one pipeline, a trigger a second: CPU of one core", "%", percent, "< 0.5");
        figure("idle: resident memory", "MiB", mib, "<= 40");
    }

    void planning() {
        std::vector<plan::PartitionFacts> facts;
        std::map<plan::TopicPartition, plan::Position> positions;
        for (std::int32_t p = 0; p < 100'000; ++p) {
            facts.push_back({{"orders", p}, 0, 1000 + p % 977, "id", 1});
            positions[{"orders", p}] = {p % 500, 1, "id", p % 50};
        }
        plan::PlanOptions options;
        options.max_offsets = 10'000'000;
        std::vector<double> ms;
        for (int round = 0; round < options_.rounds; ++round) {
            const auto start = std::chrono::steady_clock::now();
            const auto planned = plan::plan_batch({positions, facts}, options);
            if (!planned) throw std::runtime_error("no plan: " + planned.error().message);
            ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
        }
        figure("planning 100,000 partitions with backlog", "ms", ms, "< 50");
    }

    void pool() {
        constexpr int batches = 20;
        constexpr int size = 100'000;
        const std::string topic = load(kafka_, {"for the pool", 1, batches * size, 100, "none"});
        for (const bool keeps : {true, false}) {
            const std::string name = std::string("pool ") + (keeps ? "on" : "off") + ", batches of 100,000 records: ";
            PoolRun all;
            for (int round = 0; round < options_.rounds; ++round) {
                const PoolRun run = read_batches(kafka_.bootstrap(), topic, batches, size, keeps);
                all.records_per_second.insert(all.records_per_second.end(), run.records_per_second.begin(), run.records_per_second.end());
                all.lease_ms.insert(all.lease_ms.end(), run.lease_ms.begin(), run.lease_ms.end());
                all.first_record_ms.insert(all.first_record_ms.end(), run.first_record_ms.begin(), run.first_record_ms.end());
            }
            figure(name + "rate", "records/s", all.records_per_second, "");
            figure(name + "until a consumer is there", "ms", all.lease_ms, "");
            figure(name + "until the first record", "ms", all.first_record_ms, "");
        }
        kafka_.delete_topic(topic);
    }

    void partitions() {
        for (const auto& [partitions, busy] : {std::pair{1, 1}, {10, 1}, {1'000, 1}, {1'000, 1'000}, {100'000, 1}, {100'000, 1'000}}) {
            std::vector<double> plan_ms, store_ms, written_kib, wall_ms, cpu_ms, scrape_ms;
            for (int round = 0; round < options_.rounds; ++round) {
                const TriggerCost cost = cost_of_trigger(folder_.path() / "scale", partitions, busy, 20);
                const PipelineCost whole = cost_of_pipeline(folder_.path() / "scale", partitions, busy, 20);
                plan_ms.push_back(cost.plan_ms);
                store_ms.push_back(cost.store_ms);
                written_kib.push_back(cost.written_kib);
                wall_ms.push_back(whole.wall_ms);
                cpu_ms.push_back(whole.cpu_ms);
                scrape_ms.push_back(whole.scrape_ms);
            }
            const std::string name = "a trigger of " + std::to_string(partitions) + " partitions, " + std::to_string(busy) +
                                     " with records, without Kafka: ";
            figure(name + "planning", "ms", plan_ms, "");
            figure(name + "PLAN and COMMIT, synced", "ms", store_ms, "");
            figure(name + "written for both", "KiB", written_kib, "");
            figure(name + "from one to the next", "ms", wall_ms, "");
            figure(name + "CPU for all of it", "ms", cpu_ms, "");
            figure(name + "a scrape of the metrics", "ms", scrape_ms, "");
        }
    }

    /// What `sluice status` says, once it says it of all pipelines.
    boost::json::value status_when(const std::function<bool(const boost::json::object&)>& of_each, int seconds) {
        for (int waited = 0;; ++waited) {
            const auto answer = test::run_command("sluice", {"status", "--json", "--config", (folder_.path() / "sluice.yaml").string()});
            if (!answer.out.empty() && answer.out.front() == '{') {
                auto status = boost::json::parse(answer.out);
                const auto& pipelines = status.at("pipelines").as_array();
                if (std::all_of(pipelines.begin(), pipelines.end(), [&](const auto& p) { return of_each(p.as_object()); })) return status;
            }
            if (waited >= seconds) throw std::runtime_error("not all pipelines came so far: " + answer.out.substr(0, 500) + answer.err);
            std::this_thread::sleep_for(std::chrono::seconds{1});
        }
    }

    void idle_pipelines() {
        const std::string topic = test::Kafka::unique("bench-many");
        kafka_.create_topic(topic, 1);
        kafka_.produce_numbers(topic, 0, 10);
        const Running daemon(tail(std::vector<std::string>(1'000, topic), "10s"), folder_.path() / "log");
        (void)status_when([](const auto& pipeline) { return pipeline.at("state") == "CAUGHT_UP"; }, 120);
        std::this_thread::sleep_for(std::chrono::seconds{20});
        const double before = daemon.cpu_s();
        std::this_thread::sleep_for(std::chrono::seconds{20});
        figure("1,000 idle pipelines, a trigger each 10 s: CPU of one core", "%", {(daemon.cpu_s() - before) * 5}, "");
        figure("1,000 idle pipelines: resident memory", "MiB", {daemon.rss_mib()}, "");
        figure("1,000 idle pipelines: threads", "", {static_cast<double>(daemon.threads())}, "");
    }

    void busy_pipelines() {
        const std::string topic = load(kafka_, {"for 64 pipelines", 1, 2'000'000, 100, "none"});
        std::vector<double> records;
        {
            const Running daemon(tail(std::vector<std::string>(64, topic), "10ms", "maxOffsetsPerTrigger: 10000\n"), folder_.path() / "log");
            const auto status = status_when([](const auto& pipeline) { return pipeline.at("batches_committed").is_int64() && pipeline.at("batches_committed").as_int64() >= 20; }, 300);
            for (const auto& pipeline : status.at("pipelines").as_array()) {
                records.push_back(pipeline.at("records_committed").to_number<double>());
            }
            figure("64 busy pipelines: peak resident memory", "MiB", {daemon.peak_mib()}, "");
        }
        figure("64 busy pipelines: records of each when the last one has 20 batches of 10,000", "", records, "");
        kafka_.delete_topic(topic);
    }

    const Options options_;
    test::Kafka& kafka_;
    const test::WorkFolder folder_;
    std::vector<Row> rows_;
    std::vector<Figure> figures_;
};

Machine this_machine(const std::string& command) {
    Machine machine;
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) machine.cpu = line.substr(line.find(':') + 2);
    }
    machine.cores = static_cast<int>(std::thread::hardware_concurrency());
    utsname system{};
    uname(&system);
    machine.system = std::string(system.sysname) + " " + system.release;
    machine.versions = "sluice " SLUICE_VERSION ", librdkafka " + std::string(rd_kafka_version_str()) + ", Apache Kafka 4.1.1";
    machine.command = command;
    return machine;
}

void save(const std::string& file, const std::string& text) {
    if (file.empty()) return;
    std::ofstream out(file);
    out << text << std::flush;
    if (!out) throw std::runtime_error("cannot write " + file);
    say("written: " + file);
}

int main_of(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() >= 6 && words[0] == "raw") {
        const RawRead read{words[1],           words[2], std::stoi(words[3]), std::stoi(words[4]), std::stoi(words[5]),
                           words.size() > 6 ? words[6] : ""};
        std::printf("%lld records\n", static_cast<long long>(read_raw(read)));
        std::fflush(stdout);
        std::_Exit(0);  // with the clients that it left
    }
    Options options;
    std::string command = "./run bench";
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
        if (words[i] != "--json" && words[i] != "--svg") command += " " + words[i] + " " + words[i + 1];
        if (words[i] == "--rounds") options.rounds = std::max(1, std::stoi(words[i + 1]));
        else if (words[i] == "--scale") options.scale = std::stod(words[i + 1]);
        else if (words[i] == "--only") options.only = words[i + 1];
        else if (words[i] == "--json") options.json_file = words[i + 1];
        else if (words[i] == "--svg") options.svg_file = words[i + 1];
        else if (words[i] == "--peers") options.connect_jars = words[i + 1];
        else throw std::runtime_error("unknown option " + words[i]);
    }
    if (words.size() % 2 != 0) throw std::runtime_error(words.back() + " needs a value");
    Bench bench(options);
    bench.run();
    const Machine machine = this_machine(command);
    std::printf("%s, %d cores, %s; %s\n%s%s", machine.cpu.c_str(), machine.cores, machine.system.c_str(),
                machine.versions.c_str(), (machine.command + "\n").c_str(),
                table(bench.rows(), bench.figures()).c_str());
    std::fflush(stdout);
    save(options.json_file, as_json(machine, bench.rows(), bench.figures()));
    if (!bench.rows().empty()) save(options.svg_file, as_svg(machine, bench.rows()));
    return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
    try {
        return sluice::bench::main_of(argc, argv);
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "bench: %s\n", wrong.what());
        return 1;
    }
}
