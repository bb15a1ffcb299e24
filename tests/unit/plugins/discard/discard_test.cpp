#include <doctest/doctest.h>

#include "tests/unit/plugins/sink_driver.hpp"

using namespace sluice::sink;
using namespace sluice::sink::testing;

TEST_CASE("discard takes every batch, commits it without a receipt, and has nothing to abort") {
    const auto plugin = load(SLUICE_TEST_DISCARD);
    CHECK_FALSE(plugin->ordered());
    Driver driver(*plugin, settings_of(*plugin));
    for (int batch = 0; batch < 3; ++batch) {
        driver.begin();
        CHECK(driver.write({record_of("a"), record_of("b")}).status == Status::ok);
        const Reply reply = driver.commit();
        CHECK(reply.status == Status::ok);
        CHECK(reply.receipt.empty());
    }
    driver.begin();
    CHECK(driver.abort().status == Status::ok);
}
