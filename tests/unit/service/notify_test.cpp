#include "daemon/service/notify.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>

using namespace sluice;
using namespace sluice::service;
using namespace std::chrono_literals;

namespace {

/// The service manager's end: a datagram socket, by path or by abstract name.
class Manager {
 public:
    explicit Manager(std::string name) : name_(std::move(name)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        REQUIRE(name_.size() < sizeof(address.sun_path) + (name_[0] == '@' ? 1 : 0));
        std::memcpy(address.sun_path, name_.data(), name_.size());
        std::size_t length = offsetof(sockaddr_un, sun_path) + name_.size() + 1;
        if (name_[0] == '@') {
            address.sun_path[0] = '\0';
            --length;
        }
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)) ==
                0);
        const timeval patience{5, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
    ~Manager() {
        ::close(fd_);
        if (name_[0] == '/') ::unlink(name_.c_str());
    }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string next() const {
        char buffer[8192];
        const ssize_t count = ::recv(fd_, buffer, sizeof(buffer), 0);
        return count < 0 ? "NOTHING" : std::string(buffer, static_cast<std::size_t>(count));
    }
    [[nodiscard]] bool has_nothing() const {
        char byte = 0;
        return ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
    }

 private:
    std::string name_;
    int fd_ = -1;
};

std::string unique(const char* prefix) {
    static int number = 0;
    return prefix + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

void set_environment(const char* socket, const char* usec, const char* pid) {
    const auto set = [](const char* name, const char* value) {
        if (value == nullptr) {
            ::unsetenv(name);
        } else {
            ::setenv(name, value, 1);
        }
    };
    set("NOTIFY_SOCKET", socket);
    set("WATCHDOG_USEC", usec);
    set("WATCHDOG_PID", pid);
}

}  // namespace

TEST_CASE("each message arrives as systemd reads it, by path and by abstract name") {
    for (const std::string& name : {unique("/tmp/sluice-notify-"), unique("@sluice-notify-")}) {
        CAPTURE(name);
        const Manager manager(name);
        const Notifier notifier(manager.name());
        CHECK(notifier.enabled());
        notifier.ready();
        CHECK(manager.next() == "READY=1");
        notifier.ready("3 pipelines");
        CHECK(manager.next() == "READY=1\nSTATUS=3 pipelines");
        notifier.stopping("2 batches");
        CHECK(manager.next() == "STOPPING=1\nSTATUS=2 batches");
        notifier.watchdog();
        CHECK(manager.next() == "WATCHDOG=1");
        notifier.extend_timeout(30s);
        CHECK(manager.next() == "EXTEND_TIMEOUT_USEC=30000000");
        notifier.main_pid(4711);
        CHECK(manager.next() == "MAINPID=4711");
        CHECK(manager.has_nothing());
    }
}

TEST_CASE("a status is one line, whatever is in it: it can't smuggle another message in") {
    const Manager manager(unique("@sluice-notify-"));
    const Notifier notifier(manager.name());
    notifier.status("sink: größer\nMAINPID=1\r\nx");
    CHECK(manager.next() == "STATUS=sink: größer MAINPID=1  x");
    notifier.ready("a\nb");
    CHECK(manager.next() == "READY=1\nSTATUS=a b");
}

TEST_CASE("reloading carries the monotonic time of the moment") {
    const Manager manager(unique("@sluice-notify-"));
    const auto now = [] {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<long long>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000;
    };
    const long long before = now();
    Notifier(manager.name()).reloading();
    const long long after = now();
    const std::string message = manager.next();
    const std::string prefix = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(message.starts_with(prefix));
    const long long sent = std::stoll(message.substr(prefix.size()));
    CHECK(sent >= before);
    CHECK(sent <= after);
}

TEST_CASE("without a service manager nothing happens") {
    set_environment(nullptr, nullptr, nullptr);
    const Notifier notifier = Notifier::from_environment();
    CHECK_FALSE(notifier.enabled());
    CHECK_FALSE(notifier.watchdog_interval());
    notifier.ready();
    CHECK(notifier.send("READY=1"));
}

TEST_CASE("the environment is read once and cleared, so that children don't speak for the daemon") {
    const Manager manager(unique("@sluice-notify-"));
    set_environment(manager.name().c_str(), "30000000", nullptr);
    const Notifier notifier = Notifier::from_environment();
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
    CHECK(std::getenv("WATCHDOG_PID") == nullptr);
    CHECK(notifier.watchdog_interval() == 15s);
    notifier.ready();
    CHECK(manager.next() == "READY=1");
}

TEST_CASE("a watchdog that is meant for another process, or for nobody, is not kept fed") {
    const std::string self = std::to_string(::getpid());
    const std::string other = std::to_string(::getpid() + 1);
    set_environment("@x", "2000000", self.c_str());
    CHECK(Notifier::from_environment().watchdog_interval() == 1s);
    set_environment("@x", "2000000", other.c_str());
    CHECK_FALSE(Notifier::from_environment().watchdog_interval());
    for (const char* wrong : {"0", "-5", "30s", "", "99999999999999999999"}) {
        CAPTURE(wrong);
        set_environment("@x", wrong, self.c_str());
        CHECK_FALSE(Notifier::from_environment().watchdog_interval());
    }
    CHECK_FALSE(Notifier::from_environment().enabled());
}

TEST_CASE("a message that can't be delivered is an error that names the socket, and no more") {
    const std::string gone = unique("/tmp/sluice-notify-");
    const auto sent = Notifier(gone).send("READY=1");
    REQUIRE_FALSE(sent);
    CHECK(sent.error().message.find(gone) != std::string::npos);
    Notifier(gone).ready();
    for (const std::string& wrong : {std::string("relative"), std::string("@"), std::string("/"),
                                     std::string("vsock:2:1"), "/" + std::string(120, 'x'),
                                     "@" + std::string(120, 'x')}) {
        CAPTURE(wrong);
        CHECK_FALSE(Notifier(wrong).send("READY=1"));
    }
}

TEST_CASE("the longest names a socket can have are reached") {
    const std::string number = std::to_string(::getpid());
    const Manager abstract("@" + number + std::string(107 - number.size(), 'x'));
    CHECK(Notifier(abstract.name()).send("READY=1"));
    CHECK(abstract.next() == "READY=1");
    const Manager path("/tmp/" + number + std::string(102 - number.size(), 'x'));
    CHECK(Notifier(path.name()).send("READY=1"));
    CHECK(path.next() == "READY=1");
}

TEST_CASE("a manager that does not read costs a second, not the daemon") {
    const Manager manager(unique("@sluice-notify-"));
    const Notifier notifier(manager.name());
    const auto started = std::chrono::steady_clock::now();
    bool refused = false;
    for (int i = 0; i < 5000 && !refused; ++i) refused = !notifier.send("WATCHDOG=1");
    CHECK(refused);
    CHECK(std::chrono::steady_clock::now() - started < 5s);
}
