#include "tests/bench/connect.hpp"

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace sluice::bench {

Cost run_connect(const ConnectRun& run) {
    namespace fs = std::filesystem;
    fs::remove_all(run.folder);
    fs::create_directories(run.folder);
    const fs::path out = run.folder / "out";
    std::ofstream(run.folder / "worker.properties")
        << "bootstrap.servers=" << run.bootstrap << "\n"
        << "key.converter=org.apache.kafka.connect.storage.StringConverter\n"
           "value.converter=org.apache.kafka.connect.storage.StringConverter\n"
           "plugin.discovery=only_scan\nlisteners=http://127.0.0.1:0\nconsumer.auto.offset.reset=earliest\n"
           "offset.flush.interval.ms=10000\noffset.storage.file.filename="
        << (run.folder / "offsets").string() << "\n";
    // Its group is the connector's name: no round goes on where another one ended.
    const auto id = std::chrono::steady_clock::now().time_since_epoch().count();
    std::ofstream(run.folder / "sink.properties")
        << "name=bench-" << id << "\nconnector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\n"
        << "tasks.max=" << run.tasks << "\ntopics=" << run.topic << "\nfile=" << out.string() << "\n";
    const auto start = std::chrono::steady_clock::now();
    const auto since = [](auto time) {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
    };
    Running worker({"/usr/bin/java", "-Xmx1g", "-cp", (run.jars / "jars/*").string(),
                    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                    "org.apache.kafka.connect.cli.ConnectStandalone", run.folder / "worker.properties",
                    run.folder / "sink.properties"},
                   run.folder / "log");
    std::uint64_t size = 0;
    for (auto moved = start; size < run.bytes;) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        std::error_code none_yet;
        const auto now = fs::file_size(out, none_yet);
        if (!none_yet && now != size) {
            size = now;
            moved = std::chrono::steady_clock::now();
        }
        if (size < run.bytes && worker.has_ended()) {
            throw std::runtime_error("Kafka Connect ended before its file was complete:\n" + end_of(run.folder / "log"));
        }
        if (since(moved) > 180) throw std::runtime_error("Kafka Connect has written nothing for three minutes; see " + (run.folder / "log").string());
    }
    return {since(start), worker.cpu_s(), worker.peak_mib()};
}

}  // namespace sluice::bench
