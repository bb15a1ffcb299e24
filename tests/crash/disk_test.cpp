// Disks that fill up while the daemon writes to them, and are emptied again.
#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/e2e.hpp"

using namespace sluice;
using namespace sluice::test;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

/// Takes whatever is left of the file system at `folder`.
class Ballast {
 public:
    explicit Ballast(const fs::path& folder) : path_(folder / "ballast") {
        std::ofstream file(path_, std::ios::binary);
        const std::string block(16 << 10, 'x');
        while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
        }
    }
    ~Ballast() {
        std::error_code gone;  // with the daemon, whose disk it is
        fs::remove(path_, gone);
    }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;

 private:
    const fs::path path_;
};

// Entries of several KiB: RocksDB sets space aside for its log, and runs out only beyond it.
constexpr std::int64_t partitions = 8;
const std::string long_name(200, 'x');

/// A pipeline whose checkpoints (data) and output (out) are on small disks of their own.
class Scene {
 public:
    explicit Scene(const std::string& name)
        : folder_(name), topic_(Kafka::unique(name + long_name)), daemon_(folder_.path(), "") {
        kafka_.create_topic(topic_, partitions);
        std::string mounts;
        for (const char* disk : {"data", "out"}) {
            fs::create_directory(folder_.path() / disk);
            mounts += (mounts.empty() ? "" : " && ") + ("mount -t tmpfs -o size=48m tmpfs " +
                                                       (folder_.path() / disk).string());
        }
        PipelineYaml pipeline;
        pipeline.topics = {topic_};
        pipeline.trigger = "{ processingTime: 10ms }";
        pipeline.source_extra = "maxOffsetsPerTrigger: 100\n";
        pipeline.sink = "plugin: file\nmode: append\nformat: json\n";
        pipeline.out = folder_.path() / "out" / "orders";
        pipeline.extra = "errors: { retry: { delayMax: 300ms } }\n";
        daemon_.set_yaml(config_yaml(folder_.path(), pipeline_yaml(kafka_.bootstrap(), pipeline)));
        daemon_.start({}, with_mounts(mounts));
    }
    void produce(std::int64_t count) {
        kafka_.produce(topic_, count, [&](std::int64_t i) {
            Record record;
            record.partition = static_cast<std::int32_t>(i % partitions);
            record.value = "order " + std::to_string(serial_++);
            return record;
        });
    }
    bool delivers_everything() {
        const Ledger expected = visible_in_kafka(kafka_.bootstrap(), {topic_});
        if (!wait_until([&] { return count(delivered()) >= count(expected); }, std::chrono::seconds{60})) {
            return false;
        }
        CHECK(difference(expected, delivered()) == "");
        compared += count(expected);
        return true;
    }
    /// Until the daemon is out of space on `disk` and says so, and then lets it go on.
    void fill(const std::string& disk) {
        const std::size_t said_before = daemon_.log().size();
        {
            const Ballast ballast(daemon_.seen(folder_.path() / disk));
            const bool is_out_of_space = wait_until([&] {
                produce(40);
                const std::string log = daemon_.log().substr(said_before);
                return log.find("retrying") != std::string::npos &&
                       (log.find("No space left on device") != std::string::npos ||
                        log.find("the disk or the quota is full") != std::string::npos);
            }, std::chrono::seconds{120});
            REQUIRE_MESSAGE(is_out_of_space, daemon_.log());
            CHECK(daemon_.is_running());
        }
        CHECK_MESSAGE(delivers_everything(), daemon_.log());
    }
    void end() {
        CHECK_MESSAGE(daemon_.log().find("failed pipeline") == std::string::npos, daemon_.log());
        daemon_.signal(SIGTERM);
        CHECK(daemon_.wait()->code == 0);
        MESSAGE(compared << " records compared");
    }
    std::uint64_t compared = 0;

 private:
    Ledger delivered() const {
        const auto out = daemon_.seen(folder_.path() / "out") / "orders";
        if (!fs::exists(out)) return {};
        try {
            return delivered_in(out);
        } catch (const std::runtime_error&) {
            return {};  // looked at in the middle of a line
        }
    }

    Kafka& kafka_ = Kafka::real();
    const WorkFolder folder_;
    const std::string topic_;
    DaemonProcess daemon_;
    std::int64_t serial_ = 0;
};

}  // namespace

TEST_CASE("disks under checkpoints and output that fill up, in turn and again, cost no record") {
    Scene scene("filling");
    scene.produce(1'000);
    REQUIRE(scene.delivers_everything());
    for (int round = 0; round < 2; ++round) {
        CAPTURE(round);
        for (const std::string disk : {"data", "out"}) {
            CAPTURE(disk);
            scene.fill(disk);
        }
    }
    scene.end();
}
