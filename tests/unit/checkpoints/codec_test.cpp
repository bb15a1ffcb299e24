#include "checkpoints/codec.hpp"

#include <limits>
#include <random>

#include "checkpoints/keys.hpp"
#include "checkpoints/wire.hpp"
#include "support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t uint64_max = std::numeric_limits<std::uint64_t>::max();

Plan sample_plan() {
    plan::PlannedRange odd = range("payments", 2147483647, int64_max - 5, int64_max);
    odd.leader_epoch = -1;
    odd.topic_id = "";
    odd.lane = 15;
    return make_plan(uint64_max - 1,
                     {range("orders", 0, 1000, 26'000), range("orders", 0, 26'000, 51'000), odd,
                      range("", 1, 0, 0)},
                     at_ms(-1));
}

Commit sample_commit() {
    Commit commit = make_commit(make_plan(300, {range("orders", 0, 0, 9), range("orders", 1, 0, 2)}));
    commit.attempts = std::numeric_limits<std::uint32_t>::max();
    commit.books[1] = {uint64_max, 1, 2, 3, 4, 5, uint64_max};
    return commit;
}

LossEntry sample_loss() {
    LossEntry entry = loss("orders", 3, 812, 900);
    entry.batch_id = 77;
    entry.loss.kind = plan::LossKind::topic_recreated;
    entry.loss.adjusted_start = -1;
    return entry;
}

const Receipt sample_receipt{"file", "/srv/żółw", std::string("\0\x01\xff", 3)};
const std::vector<RefusedRecord> sample_refused{{{"orders", 3}, 8123, "not a number"},
                                                {{"", 2147483647}, int64_max, ""}};
const ControlEntry sample_control{at_ms(1'700'000'000'000), "offsets set", R"({"a":1})"};
const plan::Position sample_position{int64_max, 2147483647, "AAAAAAAAAAAAAAAAAAAAAA", int64_max};

/// Every decoder there is, over any bytes: none may crash, whatever it answers.
void decode_all(std::string_view bytes) {
    const auto seen = [](const auto& result) {
        if (!result) {
            CHECK(result.error().code == ErrorCode::storage);
            CHECK(result.error().message.find(" at byte ") != std::string::npos);
        }
        return result.has_value();
    };
    if (const auto plan = decode_plan(bytes); seen(plan)) {
        for (const plan::PlannedRange& planned : plan->ranges) {
            REQUIRE(planned.range.from >= 0);
            REQUIRE(planned.range.from <= planned.range.until);
            REQUIRE(planned.range.topic_partition.partition >= 0);
        }
        REQUIRE(seen(decode_plan(encode(*plan))));
    }
    if (const auto commit = decode_commit(bytes); seen(commit)) {
        REQUIRE(decode_commit(encode(*commit)).value() == *commit);
    }
    if (const auto position = decode_position(bytes); seen(position)) {
        REQUIRE(position->offset >= 0);
    }
    if (const auto entry = decode_loss(bytes); seen(entry)) {
        REQUIRE(entry->loss.from <= entry->loss.until);
    }
    seen(decode_receipt(bytes));
    seen(decode_control(bytes));
    seen(decode_refused(bytes));
    seen(decode_run_state(bytes));
    seen(decode_number(bytes));
    seen(decode_text(bytes));
    seen(decode_format(bytes));
    seen(decode_planned_at(bytes));
    seen(decode_outcome(bytes));
    (void)keys::batch_of(bytes);
    (void)keys::partition_of(bytes);
    (void)keys::audit_number_of(bytes);
}

std::vector<std::string> samples() {
    return {encode(sample_plan()),         encode(sample_commit()),       encode(sample_loss()),
            encode(sample_receipt),        encode(sample_control),        encode(sample_position),
            encode(RunState::stopped),     encode_number(uint64_max),     encode_text("x"),
            encode(FormatStamp{1, "0.1.0"})};
}

}  // namespace

TEST_CASE("every value comes back as it was") {
    CHECK(must(decode_plan(encode(sample_plan()))) == sample_plan());
    CHECK(must(decode_plan(encode(Plan{}))) == Plan{});
    CHECK(must(decode_commit(encode(sample_commit()))) == sample_commit());
    CHECK(must(decode_loss(encode(sample_loss()))) == sample_loss());
    CHECK(must(decode_receipt(encode(sample_receipt))) == sample_receipt);
    CHECK(must(decode_control(encode(sample_control))) == sample_control);
    CHECK(must(decode_refused(encode(sample_refused))) == sample_refused);
    CHECK(must(decode_position(encode(sample_position))) == sample_position);
    CHECK(must(decode_position(encode(plan::Position{}))) == plan::Position{});
    for (const RunState state : {RunState::running, RunState::paused, RunState::stopped}) {
        CHECK(must(decode_run_state(encode(state))) == state);
    }
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128},
                                       uint64_max}) {
        CHECK(must(decode_number(encode_number(number))) == number);
    }
    CHECK(must(decode_text(encode_text(""))).empty());
    CHECK(must(decode_format(encode(FormatStamp{7, "9.9"}))) == FormatStamp{7, "9.9"});
    CHECK(must(decode_planned_at(encode(sample_plan()))) == at_ms(-1));
    CHECK(must(decode_outcome(encode(sample_commit()))).committed_at == at_ms(2'000));
}

TEST_CASE("the layout on disk is the one documented") {
    const Plan plan = make_plan(300, {range("orders", 2, 1000, 1150)}, at_ms(5));
    const std::string expected = std::string("\x01\xac\x02\x0a\x02\x06orders\x0atopic-id-1\x01") +
                                 std::string("\x00\x01\x02\xe8\x07\x96\x01\x06\x00", 9);
    CHECK(encode(plan) == expected);
    CHECK(keys::batch(PipelineId{1}, 300) == std::string("\0\0\0\1\0\0\0\0\0\0\1\x2c", 12));
    CHECK(keys::position(PipelineId{1}, {"orders", 258}) ==
          std::string("\0\0\0\1\6orders\0\0\1\2", 15));
}

TEST_CASE("a plan of 100,000 partitions takes a dozen bytes a range") {
    Plan plan;
    for (int i = 0; i < 100'000; ++i) {
        plan.ranges.push_back(range("orders", i, 10'000'000'000 + i, 10'000'000'500 + i));
    }
    CHECK(encode(plan).size() < 1'500'000);
}

TEST_CASE("a value cut anywhere is an error, never a crash") {
    for (const std::string& whole : samples()) {
        for (std::size_t size = 0; size < whole.size(); ++size) decode_all(whole.substr(0, size));
    }
    const std::string plan = encode(sample_plan());
    for (std::size_t size = 0; size < plan.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(decode_plan(plan.substr(0, size)).has_value());
    }
    CHECK(error_of(decode_plan(plan + "x")).message.find("left over") != std::string::npos);
}

TEST_CASE("flipped and random bytes never crash a decoder") {
    const std::uint64_t seed = 20'261'123;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (const std::string& whole : samples()) {
        for (int round = 0; round < 2'000; ++round) {
            std::string bytes = whole;
            for (std::size_t flips = 1 + below(4); flips > 0; --flips) {
                bytes[below(bytes.size())] ^= static_cast<char>(1U << below(8));
            }
            decode_all(bytes);
        }
    }
    for (int round = 0; round < 5'000; ++round) {
        std::string bytes(below(64), '\0');
        for (char& c : bytes) c = static_cast<char>(random());
        if (!bytes.empty() && below(2) == 0) bytes[0] = 1;
        decode_all(bytes);
    }
}

TEST_CASE("a count that promises more than follows allocates nothing") {
    // Plan 0 at 0 with 2^60 strings.
    const std::string bytes = Writer{}.byte(1).varint(0).zigzag(0).varint(1ULL << 60).take();
    CHECK(error_of(decode_plan(bytes)).message.find("a count above") != std::string::npos);
}

TEST_CASE("numbers out of bounds are errors") {
    CHECK_FALSE(decode_number(std::string("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11)));
    CHECK_FALSE(decode_number(std::string("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 12)));
    CHECK(error_of(decode_number(std::string("\x02\x00", 2))).message.find("layout 2") !=
          std::string::npos);
    CHECK_FALSE(decode_run_state(std::string("\x01\x03", 2)));
    // from + size above the largest offset
    const std::string inverted = Writer{}
                                     .byte(1).varint(0).zigzag(0).varint(1).text("t").varint(1)
                                     .varint(0).varint(0).varint(0).varint(int64_max).varint(1)
                                     .zigzag(-1).varint(0).take();
    CHECK_FALSE(decode_plan(inverted));
}

TEST_CASE("a value has one form, and bytes in another are an error") {
    using namespace std::string_literals;
    CHECK(error_of(decode_number("\x01\x80\x00"s)).message ==
          "a number longer than it needs to be at byte 3 of 3");
    CHECK_FALSE(keys::partition_of("\0\0\0\x07\x81\0x\0\0\0\x03"s));
    const auto plan = [](std::string_view names, std::string_view ranges) {
        return error_of(decode_plan("\x01\x05\x00"s + std::string(names) + std::string(ranges)))
            .message;
    };
    CHECK(plan("\x01\x01x"s, "\0"s) == "a name that no range uses at byte 7 of 7");
    CHECK(plan("\x02\x01x\x01x"s, "\x01\x00\x01\x00\x00\x01\x00\x00"s).starts_with(
        "a name that is there twice"));
    CHECK(plan("\x02\x01x\x01y"s, "\x01\x01\x00\x00\x00\x01\x00\x00"s).starts_with(
        "a name before its turn"));
    CHECK(error_of(decode_loss("\x01\x07" "expired\x01x\0\0\0\0\0\0\x05\0\0"s))
              .message.starts_with("a batch that is not there"));
}

TEST_CASE("zigzag keeps small negatives small") {
    CHECK(Writer{}.zigzag(-1).take() == "\x01");
    CHECK(Writer{}.zigzag(1).take() == "\x02");
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-64}, int64_max,
                                     std::numeric_limits<std::int64_t>::min()}) {
        const std::string bytes = Writer{}.zigzag(value).take();
        Reader reader(bytes);
        CHECK(reader.zigzag() == value);
        CHECK(reader.finish().empty());
    }
}
