#include "tests/support/kafka_cluster.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace sluice::test {
namespace {

constexpr int brokers = 3;
constexpr std::chrono::seconds patience{180};
const Properties impatient{{"socket.timeout.ms", "3000"}};
const std::string script = SLUICE_TEST_SOURCE_DIR "/tests/support/kafka_cluster.sh";
const std::string jars = SLUICE_TEST_SOURCE_DIR "/build/deps/kafka";

std::string bootstrap_in(const std::filesystem::path& folder) {
    std::ifstream file(folder / "bootstrap");
    std::string line;
    if (std::getline(file, line) && !line.empty()) return line;
    throw std::runtime_error("no three brokers: run ./run test, or " + script + " start " + jars + " " +
                             folder.string());
}

}  // namespace

KafkaCluster::KafkaCluster()
    : folder_(SLUICE_TEST_BINARY_DIR "/kafka_cluster"), client_(bootstrap_in(folder_), impatient) {}

Kafka KafkaCluster::another_client() const { return Kafka(bootstrap(), impatient); }

KafkaCluster& KafkaCluster::real() {
    static KafkaCluster cluster;
    cluster.all_up();
    return cluster;
}

int KafkaCluster::pid(int broker) const {
    int pid = 0;
    std::ifstream(folder_ / std::to_string(broker) / "pid") >> pid;
    if (pid <= 1) throw std::runtime_error("broker " + std::to_string(broker) + " has no pid");
    return pid;
}

/// A process that has ended and that nobody has waited for yet is not alive.
bool KafkaCluster::is_alive(int broker) const {
    std::ifstream file("/proc/" + std::to_string(pid(broker)) + "/stat");
    std::string stat;
    if (!std::getline(file, stat)) return false;
    const auto name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

void KafkaCluster::signal(int broker, int number) const { ::kill(pid(broker), number); }

void KafkaCluster::await_end(int broker) const {
    if (!wait_until([&] { return !is_alive(broker); }, patience)) {
        throw std::runtime_error("broker " + std::to_string(broker) + " does not end");
    }
}

void KafkaCluster::kill(int broker) {
    signal(broker, SIGKILL);
    await_end(broker);
}

void KafkaCluster::stop(int broker) {
    signal(broker, SIGTERM);
    await_end(broker);
}

void KafkaCluster::freeze(int broker) { signal(broker, SIGSTOP); }
void KafkaCluster::thaw(int broker) { signal(broker, SIGCONT); }

void KafkaCluster::start(int broker) {
    const std::string command =
        script + " again " + jars + " " + folder_.string() + " " + std::to_string(broker);
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void KafkaCluster::all_up() {
    for (int broker = 1; broker <= brokers; ++broker) {
        if (is_alive(broker)) {
            thaw(broker);
        } else {
            start(broker);
        }
    }
}

int KafkaCluster::leader(const std::string& topic, std::int32_t partition) {
    return await_leader_other_than(-1, topic, partition);
}

int KafkaCluster::await_leader_other_than(int broker, const std::string& topic, std::int32_t partition) {
    int now = -1;
    const bool changed = wait_until(
        [&] { return (now = client_.leadership(topic, partition).leader) > 0 && now != broker; }, patience);
    if (changed) return now;
    throw std::runtime_error(topic + "-" + std::to_string(partition) + " finds no leader other than " +
                             std::to_string(broker));
}

void KafkaCluster::await_in_sync(const std::string& topic, int partitions) {
    for (int partition = 0; partition < partitions; ++partition) {
        const auto in_sync = [&] {
            const Leadership now = client_.leadership(topic, partition);
            return now.leader > 0 && now.replicas > 0 && now.in_sync == now.replicas;
        };
        if (wait_until(in_sync, patience)) continue;
        throw std::runtime_error(topic + "-" + std::to_string(partition) + " does not get in sync");
    }
}

}  // namespace sluice::test
