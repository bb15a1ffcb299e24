#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "plugins/kafka/marker.hpp"
#include "plugins/kafka/origin.hpp"

using namespace sluice;
using namespace sluice::plugins::kafka;

namespace {

constexpr std::int64_t now = 1'800'000'000'000;
constexpr std::int64_t hour = 3'600'000;

/// Batch 7 is to be written, 6 is the last in the checkpoint, and all is well.
Situation sound() {
    Situation situation;
    situation.batch = 7;
    situation.plan = "2-11";
    situation.source_cluster = "A";
    situation.receipt = {6, "B", now - hour / 2};
    situation.newest = Marker{6, "2-10", "A", now - hour / 2};
    situation.now_ms = now;
    return situation;
}

Verdict judged(const Situation& situation) {
    return judge(situation, "sluice-orders-marker");
}

bool says(const Verdict& verdict, const std::string& text) {
    CAPTURE(verdict.why);
    return verdict.why.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a batch is written when the target has the one before it") {
    CHECK(judged(sound()).kind == Verdict::write);
    Situation rerun = sound();
    rerun.may_be_there = true;
    CHECK(judged(rerun).kind == Verdict::write);
}

TEST_CASE("a batch that the target has is not written again, and only the same one is it") {
    Situation situation = sound();
    situation.may_be_there = true;
    situation.newest = Marker{7, "2-11", "A", now};
    CHECK(judged(situation).kind == Verdict::already_committed);
    situation.plan = "2-12";
    CHECK(judged(situation).kind == Verdict::stop);
    CHECK(says(judged(situation), "with other offsets"));
}

TEST_CASE(
    "a checkpoint and a target that do not belong together stop the pipeline, with the remedy") {
    Situation situation = sound();
    situation.newest->batch = 8;
    CHECK(says(judged(situation), "the checkpoint is older than the output. Stop one of the two"));
    situation.newest->batch = 5;
    CHECK(says(judged(situation), "the output is older than the checkpoint"));
    CHECK(
        says(judged(situation), "kafka-consumer-groups.sh --delete --group sluice-orders-marker"));
    situation = sound();
    situation.receipt.batch = 5;
    CHECK(says(judged(situation), "another daemon wrote it"));
    situation = sound();
    situation.source_cluster = "C";
    CHECK(says(judged(situation), "of Kafka cluster A"));
    for (const std::int64_t batch : {5, 8}) {
        situation = sound();
        situation.newest->batch = batch;
        CHECK(judged(situation).kind == Verdict::stop);
    }
}

TEST_CASE("a marker is written again before the cluster could forget it") {
    Situation situation = sound();
    situation.newest->at_ms = now - hour - 1;
    CHECK(judged(situation).kind == Verdict::renew_and_write);
    CHECK(judged(situation).why.empty());
}

TEST_CASE("the first batch has no marker before it, and says nothing about it") {
    Situation situation = sound();
    situation.receipt = {no_batch, "B", now - 100 * hour};
    situation.batch = 0;
    situation.newest.reset();
    CHECK(judged(situation).kind == Verdict::renew_and_write);
    CHECK(judged(situation).why.empty());
}

TEST_CASE("a marker that was forgotten stops only what may be there already") {
    Situation situation = sound();
    situation.newest.reset();
    SUBCASE("a batch that was never begun goes on, with a warning") {
        situation.receipt.at_ms = now - 200 * hour;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
        CHECK(says(judged(situation), "It is written again"));
    }
    SUBCASE("a re-run goes on while no retention can have ended") {
        situation.may_be_there = true;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
    }
    SUBCASE("a re-run stops when it can't be known") {
        situation.may_be_there = true;
        situation.receipt.at_ms = now - 24 * hour;
        CHECK(judged(situation).kind == Verdict::stop);
        CHECK(says(judged(situation), "missingMarker: run"));
        situation.run_without_marker = true;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
        CHECK(says(judged(situation), "without knowing"));
    }
    SUBCASE("a cluster that the pipeline was moved to has none yet") {
        situation.may_be_there = true;
        situation.is_new_target = true;
        situation.receipt.at_ms = now - 24 * hour;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
    }
}

TEST_CASE("under another transactional id a batch goes on only when it can't be there under the old one") {
    Situation situation = sound();
    situation.transactional_id = "new";
    situation.receipt.transactional_id = "old";
    situation.newest.reset();
    SUBCASE("a batch that was never begun gets a marker under the new id, without a word") {
        situation.receipt.at_ms = now - 200 * hour;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
        CHECK(judged(situation).why.empty());
    }
    SUBCASE("a re-run stops, whenever it is, and names the id that may have the batch") {
        situation.may_be_there = true;
        CHECK(judged(situation).kind == Verdict::stop);
        CHECK(says(judged(situation), "batch 7 may have been committed under transactionalId old, and this is new"));
        CHECK(says(judged(situation), "set transactionalId: old until the batch is finished, then change it"));
        situation.newest = Marker{3, "2-9", "A", now};  // of an earlier time under the new id
        CHECK(judged(situation).kind == Verdict::stop);
        CHECK(says(judged(situation), "may have been committed under transactionalId old"));
    }
    SUBCASE("a person may know that it is not there") {
        situation.may_be_there = true;
        situation.run_without_marker = true;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
        CHECK(says(judged(situation), "without knowing"));
    }
    SUBCASE("a re-run of the first batch under the new id finds its marker there") {
        situation.may_be_there = true;
        situation.newest = Marker{6, "", "A", now};
        CHECK(judged(situation).kind == Verdict::write);
        situation.newest = Marker{7, "2-11", "A", now};
        CHECK(judged(situation).kind == Verdict::already_committed);
    }
    SUBCASE("an id that has an older batch is not taken over") {
        situation.newest = Marker{3, "2-9", "A", now};
        CHECK(judged(situation).kind == Verdict::stop);
        CHECK(says(judged(situation), "is another pipeline's"));
    }
    SUBCASE("a receipt from before ids were written says nothing of them") {
        situation.receipt.transactional_id.clear();
        situation.may_be_there = true;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
    }
    SUBCASE("the same id is no change") {
        situation.transactional_id = "old";
        situation.may_be_there = true;
        CHECK(judged(situation).kind == Verdict::renew_and_write);
    }
}

TEST_CASE("the transactional id is not taken by whoever has been overtaken, nor by a stranger") {
    Claim claim{"orders", true, 7, no_batch, Marker{6, "2-10", "A", now}};
    const auto objection = [&] { return objection_to(claim, "sluice-orders-marker"); };
    CHECK(objection() == "");
    SUBCASE("a batch that an earlier process may have committed is looked up, with the id") {
        claim.newest->batch = 7;
        CHECK(objection() == "");
    }
    SUBCASE("a batch that this process alone has begun, and never tried to commit, is another's") {
        claim.untried = 7;
        CHECK(objection() == "");
        claim.newest->batch = 7;
        CHECK(objection().find("another daemon runs this pipeline") != std::string::npos);
    }
    SUBCASE("the target is ahead of the checkpoint") {
        claim.newest->batch = 8;
        CHECK(objection().find("the checkpoint is older than the output") != std::string::npos);
    }
    SUBCASE("there is no checkpoint") {
        claim.has_checkpoint = false;
        CHECK(objection().find("there is no checkpoint") != std::string::npos);
        claim.newest->batch = no_batch;
        CHECK(objection() == "");
        claim.newest.reset();
        CHECK(objection() == "");
    }
}

TEST_CASE("a marker comes back as it was written, and offsets of others are none") {
    const Marker marker{41, "3-17", "cluster \"x\"", now};
    const auto read = Marker::read(42, marker.metadata());
    REQUIRE(read);
    CHECK(read->batch == 41);
    CHECK(read->plan == "3-17");
    CHECK(read->source_cluster == "cluster \"x\"");
    CHECK(read->at_ms == now);
    CHECK(Marker::read(0, Marker{}.metadata())->batch == no_batch);
    CHECK_FALSE(Marker::read(42, ""));
    CHECK_FALSE(Marker::read(42, "{}"));
    CHECK_FALSE(Marker::read(42, R"({"sluice":2})"));
    CHECK_FALSE(Marker::read(-1001, marker.metadata()));
    CHECK(marker.metadata().size() < 4096);  // offset.metadata.max.bytes
}

TEST_CASE("a receipt comes back as it was written, and nothing else is one") {
    const Receipt receipt = Receipt::read(Receipt{6, "B", now, "id \"x\""}.text());
    CHECK(receipt.batch == 6);
    CHECK(receipt.target_cluster == "B");
    CHECK(receipt.at_ms == now);
    CHECK(receipt.transactional_id == "id \"x\"");
    CHECK(Receipt::read(R"({"batch":6,"cluster":"B","at":5})").transactional_id.empty());  // of an older plugin
    CHECK_THROWS_AS(Receipt::read(""), std::invalid_argument);
    CHECK_THROWS_AS(Receipt::read(R"({"batch":1})"), std::invalid_argument);
    CHECK_THROWS_AS(Receipt::read(R"({"batch":"1","cluster":"B"})"), std::invalid_argument);
}

TEST_CASE("a record finds its way back from a delivery report") {
    for (const Origin origin : {Origin{0, 0}, Origin{1, 0}, Origin{0, 1},
                                Origin{70'000, 123'456'789}, Origin{range_index_max, distance_max}})
        CHECK(unpack(pack(origin)) == origin);
}
