#include "daemon/sinktest/ledger.hpp"

#include <doctest/doctest.h>

namespace sluice::sinktest {
namespace {

const Recipe recipe{7, false, std::string("bad")};

/// Batch 3 with offsets [0, 40) of orders/0, and its records as they would be read.
class World {
 public:
    explicit World(Flavor flavor = Flavor::plain) : flavor_(flavor) {
        ledger.plan({3, false, {{"orders", 0, 0, 0, 40, "p/3/0"}}}, flavor);
    }
    [[nodiscard]] std::vector<VisibleRecord> all() const {
        std::vector<VisibleRecord> records;
        for (std::int64_t offset = 0; offset < 40; ++offset) {
            const RecordId id{"orders", 0, offset};
            const auto record = record_at(recipe, flavor_, id);
            if (record) records.push_back({id, record->key, record->value, record->headers, record->timestamp_ms});
        }
        return records;
    }
    Finding only(const std::vector<VisibleRecord>& visible) {
        const auto findings = ledger.compare(visible, "now");
        REQUIRE(findings.size() == 1);
        return findings.front();
    }
    Ledger ledger{recipe};

 private:
    Flavor flavor_;
};

}  // namespace

TEST_CASE("a committed batch is to be seen once, an open one not at all, one in doubt as it likes") {
    World world;
    CHECK(world.ledger.compare({}, "now").empty());
    world.ledger.set(3, BatchState::in_doubt);
    CHECK(world.ledger.compare({}, "now").empty());
    CHECK(world.ledger.compare(world.all(), "now").empty());
    world.ledger.set(3, BatchState::committed);
    CHECK(world.ledger.compare(world.all(), "now").empty());
}

TEST_CASE("what is seen too early leaves idempotent, and is reported once") {
    World world;
    CHECK(world.only(world.all()).at_most == Proof::idempotent);
    CHECK(world.ledger.compare(world.all(), "later").empty());
    world.ledger.set(3, BatchState::committed);
    CHECK(world.ledger.compare(world.all(), "committed").empty());
}

TEST_CASE("a record that is there twice leaves at-least-once, also after it was seen too early") {
    World world;
    CHECK(world.only(world.all()).at_most == Proof::idempotent);
    world.ledger.set(3, BatchState::committed);
    auto twice = world.all();
    twice.push_back(twice.front());
    const Finding finding = world.only(twice);
    CHECK(finding.at_most == Proof::at_least_once);
    CHECK(finding.text == "now: 1 record of batch 3 is there more than once (" + to_string(twice.front().id) + ")");
}

TEST_CASE("a committed record that is missing, altered or was never written leaves nothing") {
    const auto finding = [](const auto& change) {
        World world;
        world.ledger.set(3, BatchState::committed);
        auto records = world.all();
        change(records);
        const Finding found = world.only(records);
        CHECK(found.at_most == Proof::nothing);
        return found.text;
    };
    using Records = std::vector<VisibleRecord>;
    CHECK(finding([](Records& records) { records.pop_back(); }).find("not there") != std::string::npos);
    CHECK(finding([](Records& records) {
              records.front().headers = std::vector<std::pair<std::string, Bytes>>{{"x", std::nullopt}};
          }).find("has the headers [\"x\": null]") != std::string::npos);
    CHECK(finding([](Records& records) { records.front().timestamp_ms = std::optional<std::int64_t>(); })
              .find("has the timestamp none, and was written with 17000000000") != std::string::npos);
    CHECK(finding([](Records& records) { records.front().value = "other"; }).find("has the value \"other\"") !=
          std::string::npos);
    CHECK(finding([](Records& records) { records.push_back({{"orders", 0, 1000}, {}, {}}); })
              .find("that no batch had") != std::string::npos);
}

TEST_CASE("records of other topics are passed over") {
    World world;
    CHECK(world.ledger.compare({{{"of another run", 0, 0}, {}, {}}}, "now").empty());
}

TEST_CASE("a refused record is not to be seen, and a bad one is to be refused") {
    World world(Flavor::refused);
    const auto bad = world.ledger.bad_ones_taken(3);
    REQUIRE_FALSE(bad.empty());
    for (const RecordId& id : bad) {
        CHECK(world.ledger.refuse(3, {0, id.offset, "bad"}));
        CHECK_FALSE(world.ledger.refuse(3, {0, id.offset, "bad"}));
    }
    CHECK(world.ledger.bad_ones_taken(3).empty());
    world.ledger.set(3, BatchState::committed);
    const Finding finding = world.only(world.all());
    CHECK(finding.at_most == Proof::nothing);
    CHECK(finding.text.find("though refused") != std::string::npos);
}

TEST_CASE("offsets of a batch that was given up belong to the next one") {
    World world;
    world.ledger.set(3, BatchState::committed);  // by a sink that does not know any more
    world.ledger.give_up(3);
    CHECK(world.ledger.compare({}, "now").empty());
    world.ledger.plan({4, false, {{"orders", 0, 0, 0, 20, "p/4/0"}, {"orders", 0, 1, 20, 40, "p/4/1"}}},
                      Flavor::plain);
    world.ledger.set(4, BatchState::committed);
    CHECK(world.ledger.compare(world.all(), "now").empty());
}

}  // namespace sluice::sinktest
