#include "daemon/kafka/lookup_clients.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "daemon/base/log.hpp"

using namespace sluice;
using namespace sluice::kafka;

namespace {

/// Nobody listens there: making a client does not wait for its broker.
ClientSettings settings(const std::string& pipeline, const std::string& server = "127.0.0.1:1") {
    log::set_level(log::Level::error);
    return {.properties = {{"bootstrap.servers", server}}, .pipeline = pipeline};
}

class SetClock final : public Clock {
 public:
    WallTime wall() const override { return WallTime{}; }
    SteadyTime steady() const override { return now; }
    SteadyTime now{};
};

LookupLoan lend(LookupClients& clients, const ClientSettings& to) {
    auto loan = clients.borrow(to);
    REQUIRE(loan);
    return std::move(*loan);
}

}  // namespace

TEST_CASE("pipelines with the same properties share a look-up client, one at a time") {
    LookupClients clients;
    const Cluster* first = nullptr;
    {
        const auto orders = lend(clients, settings("orders"));
        first = &orders.cluster();
        const auto payments = lend(clients, settings("payments"));
        CHECK(&payments.cluster() != first);
        CHECK(clients.idle() == 0);
    }
    CHECK(clients.idle() == 2);
    CHECK(&lend(clients, settings("refunds")).cluster() == first);  // given back last
    (void)lend(clients, settings("orders", "127.0.0.1:2"));
    CHECK(clients.idle() == 3);
}

TEST_CASE("a look-up client that was refused, forgotten, or not wanted for a minute is closed") {
    SetClock clock;
    LookupClients clients(clock);
    lend(clients, settings("orders")).discard();
    CHECK(clients.idle() == 0);

    (void)lend(clients, settings("orders"));
    (void)lend(clients, settings("orders", "127.0.0.1:2"));
    clients.forget(settings("payments"));
    CHECK(clients.idle() == 1);

    clock.now += Milliseconds{59'999};
    (void)lend(clients, settings("orders"));
    clients.tidy();
    CHECK(clients.idle() == 2);
    clock.now += Milliseconds{1};
    clients.tidy();
    CHECK(clients.idle() == 1);
    const auto wanted = lend(clients, settings("orders"));
    CHECK(clients.idle() == 0);
}
