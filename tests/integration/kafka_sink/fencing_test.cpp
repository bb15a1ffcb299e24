#include <algorithm>
#include <csignal>
#include <initializer_list>
#include <sstream>
#include <string_view>

#include "tests/integration/kafka_sink/mirror.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

Mirror tailing(const std::string& name) {
    Mirror mirror(name, 1'000, "unlimited");
    mirror.pipeline.trigger = "{ processingTime: 100ms }";
    return mirror;
}

/// Lines that have all of `texts`.
int lines_logged(const DaemonProcess& daemon, std::initializer_list<std::string_view> texts) {
    std::istringstream log(daemon.log());
    int found = 0;
    for (std::string line; std::getline(log, line);) {
        found += std::all_of(texts.begin(), texts.end(), [&](std::string_view text) { return line.find(text) != line.npos; });
    }
    return found;
}

/// Waits until a daemon has opened its sink for the n-th time.
bool has_opened(const DaemonProcess& daemon, int times) {
    return wait_until([&] { return lines_logged(daemon, {", transactional id "}) >= times; });
}

std::string with_data_in(const Mirror& mirror, const std::filesystem::path& folder) {
    return config_yaml(folder, pipeline_yaml(mirror.source.bootstrap(), mirror.pipeline));
}

/// Freezes the daemon while its transaction is open. A commit may be on its way: whoever is told true
/// looks at what becomes of the transaction.
bool freeze_in_transaction(DaemonProcess& daemon, const std::string& id) {
    return daemon.says("batch committed") && wait_until([&] {
        daemon.signal(SIGSTOP);
        if (transaction_state(target_cluster().bootstrap(), id) == TransactionState::ongoing)
            return true;
        daemon.signal(SIGCONT);
        return false;
    });
}

/// The checkpoint of a daemon that is frozen, hence as a crash would leave it.
void copy_data(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::create_directory(to / "data");
    for (const auto& entry : std::filesystem::directory_iterator(from / "data"))
        if (!entry.is_socket())
            std::filesystem::copy(entry, to / "data" / entry.path().filename(),
                                  std::filesystem::copy_options::recursive);
}

}  // namespace

TEST_CASE("a batch whose transaction ran out of time is run again, and nothing comes twice") {
    const Mirror mirror("expired", 60'000, "3000", "transactionTimeout: 3s\n");
    const std::string id = "sluice-" + mirror.topic;
    DaemonProcess daemon(mirror.folder.path(), mirror.yaml());
    daemon.start();
    const std::string advice =
        "more than transactionTimeout: the cluster gives such a transaction up. If that comes again, raise it, or "
        "lower maxOffsetsPerTrigger and have this batch planned anew: sluice batches replan PIPELINE";
    const auto lost_attempts = [&] { return lines_logged(daemon, {"stage=batch"}); };
    const auto was_told = [&] { return lines_logged(daemon, {"stage=batch", advice}) > 0; };
    for (int round = 0; round < 5 && !was_told(); ++round) {
        // Frozen in its last question to the source's cluster, it lost the attempt for want of that answer: once more.
        CHECK_MESSAGE(lost_attempts() == lines_logged(daemon, {"stage=batch", "describing topics"}), daemon.log());
        std::optional<TransactionState> end;
        int lost_before = 0;
        while (end != TransactionState::complete_abort) {
            REQUIRE_MESSAGE(freeze_in_transaction(daemon, id), daemon.log());
            const bool has_ended = wait_until([&] {
                end = transaction_state(target_cluster().bootstrap(), id);
                return end == TransactionState::complete_commit || end == TransactionState::complete_abort;
            });
            REQUIRE(has_ended);
            lost_before = lost_attempts();
            daemon.signal(SIGCONT);
        }
        CHECK_MESSAGE(wait_until([&] { return lost_attempts() > lost_before; }, std::chrono::seconds{60}), daemon.log());
    }
    CHECK_MESSAGE(was_told(), daemon.log());
    finish(daemon);
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a daemon that wakes up in a transaction after another took over is fenced, and told so") {
    const Mirror mirror("zombie", 60'000, "3000");
    const std::string id = "sluice-" + mirror.topic;
    const WorkFolder other("kafka-sink-zombie-2");
    DaemonProcess zombie(mirror.folder.path(), mirror.yaml());
    zombie.start();
    REQUIRE_MESSAGE(freeze_in_transaction(zombie, id), zombie.log());
    copy_data(mirror.folder.path(), other.path());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    finish(second);
    zombie.signal(SIGCONT);
    stop_with(zombie, "another producer has taken transactional id " + id +
                          ": a second daemon runs this pipeline, or another one of the same name. "
                          "Nothing of this batch was kept. Stop one of the two");
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a daemon that wakes up after another wrote its batch does not take the id back") {
    const Mirror mirror("late", 400'000, "110000", "transactionTimeout: 12s\n");
    const std::string id = "sluice-" + mirror.topic;
    const WorkFolder other("kafka-sink-late-2");
    DaemonProcess zombie(mirror.folder.path(), mirror.yaml());
    zombie.start();
    // Until its own transaction is too old to tell it from one that ran out of time.
    std::optional<TransactionState> end;
    while (end != TransactionState::complete_abort) {
        zombie.signal(SIGCONT);  // it was committing: the next one
        REQUIRE_MESSAGE(freeze_in_transaction(zombie, id), zombie.log());
        REQUIRE(wait_until([&] {
            end = transaction_state(target_cluster().bootstrap(), id);
            return end == TransactionState::complete_commit || end == TransactionState::complete_abort;
        }, std::chrono::seconds{60}));
    }
    copy_data(mirror.folder.path(), other.path());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    finish(second);
    zombie.signal(SIGCONT);
    stop_with(zombie, "another daemon runs this pipeline");
    CHECK(mirror.wrong() == "");
}

TEST_CASE(
    "a second daemon from a copy of the checkpoint fences the first, and nothing comes twice") {
    const Mirror mirror = tailing("fenced");
    const WorkFolder other("kafka-sink-fenced-2");
    DaemonProcess first(mirror.folder.path(), mirror.yaml());
    first.start();
    REQUIRE_MESSAGE(first.says("batch committed"), first.log());
    first.signal(SIGTERM);
    REQUIRE(first.wait());
    std::filesystem::copy(mirror.folder.path() / "data", other.path() / "data",
                          std::filesystem::copy_options::recursive);
    first.start();
    REQUIRE_MESSAGE(has_opened(first, 2), first.log());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    REQUIRE_MESSAGE(has_opened(second, 1), second.log());
    for (std::int64_t i = 1; i <= 3; ++i)
        mirror.source.produce_numbers(mirror.topic, 1, 100 * i);
    // Fenced at its commit, or stopped before it by the marker of a batch that it planned otherwise, or of a later one.
    CHECK_MESSAGE(first.says("Stop one of the two"), first.log());
    const auto expected = count(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}));
    CHECK_MESSAGE(wait_until([&] { return mirror.delivered().size() >= expected; }), second.log());
    first.signal(SIGTERM);
    second.signal(SIGTERM);
    REQUIRE(first.wait());
    REQUIRE(second.wait());
    CHECK(mirror.wrong() == "");
}

TEST_CASE("a second daemon without the checkpoint is refused, and does not disturb the first") {
    const Mirror mirror = tailing("stranger");
    const WorkFolder other("kafka-sink-stranger-2");
    DaemonProcess first(mirror.folder.path(), mirror.yaml());
    first.start();
    REQUIRE_MESSAGE(first.says("batch committed"), first.log());
    DaemonProcess second(other.path(), with_data_in(mirror, other.path()));
    second.start();
    CHECK_MESSAGE(second.says("and there is no checkpoint"), second.log());
    second.kill();
    mirror.source.produce_numbers(mirror.topic, 1, 100);
    const auto expected = count(visible_in_kafka(mirror.source.bootstrap(), {mirror.topic}));
    CHECK_MESSAGE(wait_until([&] { return mirror.delivered().size() == expected; }), first.log());
    first.signal(SIGTERM);
    REQUIRE(first.wait());
    CHECK(mirror.wrong() == "");
}
