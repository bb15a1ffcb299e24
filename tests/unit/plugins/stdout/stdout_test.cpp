#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

#include "tests/unit/plugins/sink_driver.hpp"

using namespace sluice::sink;
using namespace sluice::sink::testing;

namespace {

// Standard output is what is tested here: the test's own report goes to standard error.
const auto* const report = std::cout.rdbuf(std::cerr.rdbuf());

const Plugin& plugin() {
    static const std::shared_ptr<const Plugin> loaded = load(SLUICE_TEST_STDOUT);
    return *loaded;
}

/// Standard output is a pipe (or a file) for as long as this lives.
class Redirected {
 public:
    Redirected() {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        reader_ = ends[0];
        fcntl(reader_, F_SETFL, O_NONBLOCK);
        swap_in(ends[1]);
    }
    explicit Redirected(const char* path) { swap_in(open(path, O_WRONLY)); }
    ~Redirected() {
        dup2(before_, STDOUT_FILENO);
        close(before_);
        close_reader();
    }
    Redirected(const Redirected&) = delete;
    Redirected& operator=(const Redirected&) = delete;

    /// What is in the pipe now.
    std::string read_all() const {
        std::string text;
        char buffer[65536];
        ssize_t got = 0;
        while ((got = read(reader_, buffer, sizeof buffer)) > 0) {
            text.append(buffer, static_cast<std::size_t>(got));
        }
        return text;
    }
    /// Whether anything is there within ten seconds.
    bool wait_readable() const {
        pollfd target{reader_, POLLIN, 0};
        return poll(&target, 1, 10'000) == 1;
    }
    void close_reader() {
        if (reader_ >= 0) close(reader_);
        reader_ = -1;
    }

 private:
    void swap_in(int descriptor) {
        REQUIRE(descriptor >= 0);
        std::fflush(stdout);
        before_ = dup(STDOUT_FILENO);
        dup2(descriptor, STDOUT_FILENO);
        close(descriptor);
    }
    int reader_ = -1;
    int before_ = -1;
};

Settings values_only() {
    return settings_of(plugin(), {{"format", "value"}});
}

}  // namespace

TEST_CASE("stdout writes a JSON line per record, headers asked of the host") {
    const Redirected out;
    Driver driver(plugin(), settings_of(plugin()));
    driver.begin();
    CHECK(driver.write({record_of("v"), record_of(R"({"a":1})")}).status == Status::ok);
    CHECK(driver.commit().status == Status::ok);
    const std::string front = R"({"topic":"orders","partition":3,"offset":7,"timestamp":1000,)"
                              R"("timestampType":"CreateTime","key":"k","headers":[],"value":)";
    CHECK(out.read_all() == front + "\"v\"}\n" + front + R"("{\"a\":1}"})" + '\n');
}

TEST_CASE("stdout embeds JSON values when asked to") {
    const Redirected out;
    Driver driver(plugin(), settings_of(plugin(), {{"value", "json"}}));
    driver.begin();
    CHECK(driver.write({record_of(R"({"a":1})")}).status == Status::ok);
    CHECK(driver.commit().status == Status::ok);
    CHECK(out.read_all().find(R"("value":{"a":1}})") != std::string::npos);
}

TEST_CASE("stdout with format: value writes the value alone, a null one as an empty line") {
    const Redirected out;
    Driver driver(plugin(), values_only());
    driver.begin();
    sluice_record null_value = record_of("");
    null_value.value = {nullptr, 0};
    CHECK(driver.write({record_of("one"), null_value, record_of("two")}).status == Status::ok);
    CHECK(driver.commit().status == Status::ok);
    CHECK(out.read_all() == "one\n\ntwo\n");
}

TEST_CASE("stdout refuses value: json where there is no JSON line") {
    CHECK(plugin().check("p", settings_of(plugin())));
    CHECK(plugin().check("p", values_only()));
    const auto refused = plugin().check("p", {{"format", "value"}, {"value", "json"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("set format: json") != std::string::npos);
}

TEST_CASE("stdout has written everything when commit returns, and nothing waits for long before") {
    const Redirected out;
    Driver driver(plugin(), values_only());
    driver.begin();
    CHECK(driver.write({record_of("small")}).status == Status::ok);
    CHECK(out.read_all().empty());
    const std::string large(40'000, 'x');
    for (int i = 0; i < 2; ++i)
        CHECK(driver.write({record_of(large)}).status == Status::ok);
    CHECK(out.read_all().empty());
    std::string seen;
    std::thread reader([&] {
        pollfd ignored{-1, 0, 0};
        while (seen.size() < 80'000) {
            seen += out.read_all();
            poll(&ignored, 1, 1);
        }
    });
    CHECK(driver.write({record_of("after 64 KiB")}).status == Status::ok);  // writes what waited
    reader.join();
    CHECK(seen == "small\n" + large + '\n' + large + '\n');
    CHECK(driver.commit().status == Status::ok);
    CHECK(out.read_all() == "after 64 KiB\n");
}

TEST_CASE("stdout drops what an aborted batch had not written yet") {
    const Redirected out;
    Driver driver(plugin(), values_only());
    driver.begin();
    CHECK(driver.write({record_of("aborted")}).status == Status::ok);
    CHECK(driver.abort().status == Status::ok);
    driver.begin();
    CHECK(driver.write({record_of("again")}).status == Status::ok);
    CHECK(driver.commit().status == Status::ok);
    CHECK(out.read_all() == "again\n");
}

TEST_CASE("stdout is FATAL, and the process lives, when the reader is gone") {
    Redirected out;
    Driver driver(plugin(), values_only());
    out.close_reader();
    driver.begin();
    CHECK(driver.write({record_of("x")}).status == Status::ok);
    const Reply reply = driver.commit();
    CHECK(reply.status == Status::fatal);
    CHECK(reply.message.find("the reader of standard output is gone") != std::string::npos);
    CHECK(driver.abort().status == Status::ok);
}

TEST_CASE("a stop ends the wait for a slow reader, and the next sink begins a line of its own") {
    const Redirected out;
    Driver slow(plugin(), values_only());
    Driver other(plugin(), values_only());
    const std::string large(300'000, 'x');  // more than a pipe holds
    slow.begin();
    CHECK(slow.write({record_of(large)}).status == Status::ok);
    slow.stopping = true;
    const Reply stopped = slow.commit();
    CHECK(stopped.status == Status::retry);
    CHECK(stopped.message.find("stopped") != std::string::npos);
    CHECK(slow.abort().status == Status::ok);
    const std::string half = out.read_all();
    CHECK_FALSE(half.empty());
    CHECK(half.size() < large.size());
    other.begin();
    CHECK(other.write({record_of("whole")}).status == Status::ok);
    CHECK(other.commit().status == Status::ok);
    CHECK(out.read_all() == "\nwhole\n");
}

TEST_CASE("pipelines that share standard output never mix their lines") {
    const Redirected out;
    constexpr int batches = 50;
    const auto run = [](char letter) {
        Driver driver(plugin(), values_only());
        const std::string line(9'000, letter);  // more than one write takes
        for (int i = 0; i < batches; ++i) {
            driver.begin();
            CHECK(driver.write({record_of(line)}).status == Status::ok);
            CHECK(driver.commit().status == Status::ok);
        }
    };
    std::thread first(run, 'a');
    std::thread second(run, 'b');
    std::string seen;
    pollfd ignored{-1, 0, 0};
    while (seen.size() < 2 * batches * 9'001) {
        seen += out.read_all();
        poll(&ignored, 1, 1);
    }
    first.join();
    second.join();
    for (std::size_t at = 0; at < seen.size(); at += 9'001) {
        REQUIRE(seen.substr(at, 9'001) == std::string(9'000, seen[at]) + '\n');
    }
}

TEST_CASE("a stop ends the wait for another pipeline that has its turn") {
    const Redirected out;
    Driver slow(plugin(), values_only());
    Driver other(plugin(), values_only());
    slow.begin();
    const std::string large(300'000, 'x');
    CHECK(slow.write({record_of(large)}).status == Status::ok);
    other.begin();
    CHECK(other.write({record_of("y")}).status == Status::ok);
    std::thread holder([&] { CHECK(slow.commit().status == Status::retry); });
    REQUIRE(out.wait_readable());  // the slow one has its turn, and nobody reads
    other.stopping = true;
    CHECK(other.commit().status == Status::retry);
    CHECK(other.abort().status == Status::ok);
    slow.stopping = true;
    holder.join();
    CHECK(slow.abort().status == Status::ok);
    CHECK(out.read_all().size() < large.size());
    other.stopping = false;
    other.begin();
    CHECK(other.write({record_of("y")}).status == Status::ok);
    CHECK(other.commit().status == Status::ok);
    CHECK(out.read_all() == "\ny\n");
}

TEST_CASE("a flush that was interrupted goes on in the middle of its line") {
    const Redirected out;
    Driver driver(plugin(), values_only());
    const std::string large(300'000, 'y');
    driver.begin();
    CHECK(driver.write({record_of(large)}).status == Status::ok);
    driver.stopping = true;
    CHECK(driver.write({record_of("refused")}).status == Status::retry);  // and not kept
    driver.stopping = false;
    std::string seen;
    std::thread reader([&] {
        pollfd ignored{-1, 0, 0};
        while (seen.find('\n') == std::string::npos) {
            seen += out.read_all();
            poll(&ignored, 1, 1);
        }
    });
    CHECK(driver.commit().status == Status::ok);
    reader.join();
    CHECK(seen == large + '\n');
}

TEST_CASE("stdout asks to retry when the disk behind it is full") {
    const Redirected out("/dev/full");
    Driver driver(plugin(), values_only());
    driver.begin();
    CHECK(driver.write({record_of("x")}).status == Status::ok);
    const Reply reply = driver.commit();
    CHECK(reply.status == Status::retry);
    CHECK(reply.message.find("make room") != std::string::npos);
    CHECK(driver.abort().status == Status::ok);
}

TEST_CASE("stdout says so when the daemon was started without standard output") {
    const Redirected out;
    close(STDOUT_FILENO);
    const std::atomic<bool> running{false};
    const OpenReply opened = plugin().open({"p", "c", 0, {}}, values_only(), running);
    CHECK(opened.reply.status == Status::fatal);
    CHECK(opened.reply.message.find("has no standard output") != std::string::npos);
}
