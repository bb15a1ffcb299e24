#include "daemon/kafka/close_together.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <list>
#include <memory>

#include "tests/support/kafka_fixture.hpp"

using namespace sluice;

namespace {

struct Counts {
    std::atomic<int> closing{0};
    std::atomic<int> closed{0};
    std::atomic<int> alone{0};
};

/// Is not closed before so many others are being closed with it.
struct Waiting {
    Waiting(Counts& all, int most) : counts(all), together(most) {}
    ~Waiting() {
        ++counts.closing;
        const bool with_others =
            test::wait_until([&] { return counts.closing >= together; }, std::chrono::seconds{5});
        if (!with_others) ++counts.alone;
        ++counts.closed;
    }
    Counts& counts;
    const int together;
};

std::list<std::unique_ptr<Waiting>> many(Counts& counts, int count, int together) {
    std::list<std::unique_ptr<Waiting>> objects;
    for (int i = 0; i < count; ++i) objects.push_back(std::make_unique<Waiting>(counts, together));
    return objects;
}

}  // namespace

TEST_CASE("clients are closed at once, and all are when it returns") {
    for (const int count : {0, 1, 2, 16}) {
        CAPTURE(count);
        Counts counts;
        kafka::close_together(many(counts, count, count));
        CHECK(counts.closed.load() == count);
        CHECK(counts.alone.load() == 0);
    }
    // More than there are threads for: sixteen at a time.
    Counts counts;
    kafka::close_together(many(counts, 100, 16));
    CHECK(counts.closed.load() == 100);
    CHECK(counts.alone.load() == 0);
}
