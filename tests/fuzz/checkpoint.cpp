#include <array>

#include "checkpoints/codec.hpp"
#include "checkpoints/keys.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::fuzz {
namespace {

using namespace checkpoints;

/// Bytes that are taken are the bytes that would be written: no value has two forms.
template <class Decode>
void check_decoder(
    Decode decode, std::string_view bytes,
    std::string (*encode_value)(
        const typename std::invoke_result_t<Decode, std::string_view>::value_type&)) {
    const auto value = decode(bytes);
    if (value) {
        require(encode_value(*value) == bytes, "bytes that are taken are written like that again");
        return;
    }
    require(value.error().code == ErrorCode::storage, "what is refused is a storage error");
    require(value.error().message.find(" at byte ") != std::string::npos, "it says which byte");
}

template <class T>
std::string encoded(const T& value) {
    return encode(value);
}

void check_plan(std::string_view bytes) {
    check_decoder(decode_plan, bytes, encoded<Plan>);
    const auto plan = decode_plan(bytes);
    const auto planned_at = decode_planned_at(bytes);
    if (!plan) return;
    require(planned_at && *planned_at == plan->planned_at, "the short look sees the same instant");
    for (const plan::PlannedRange& planned : plan->ranges) {
        require(planned.range.from >= 0 && planned.range.from <= planned.range.until,
                "a range is not inverted");
        require(planned.range.topic_partition.partition >= 0, "a partition is not negative");
        require(planned.leader_epoch >= -1, "an epoch is -1 or one");
    }
}

void check_commit(std::string_view bytes) {
    check_decoder(decode_commit, bytes, encoded<Commit>);
    const auto commit = decode_commit(bytes);
    const auto outcome = decode_outcome(bytes);
    if (!commit) return;
    require(
        outcome && outcome->state == commit->state && outcome->committed_at == commit->committed_at,
        "the short look sees the same outcome");
    require(commit->state != BatchState::planned, "an outcome is not a plan");
}

void check_format(std::string_view bytes) {
    const auto stamp = decode_format(bytes);
    // Its tail belongs to formats that we do not know.
    if (stamp) require(bytes.starts_with(encode(*stamp)), "a stamp begins as it is written");
}

void check_keys(std::string_view bytes) {
    Input in({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    const auto id = static_cast<PipelineId>(in.number(4));
    if (const auto batch = keys::batch_of(bytes)) {
        require(keys::batch(id, *batch) == bytes, "the key of a batch has one form");
    }
    if (const auto number = keys::audit_number_of(bytes)) {
        require(keys::audit(id, *number) == bytes, "the key of an action has one form");
    }
    if (const auto partition = keys::partition_of(bytes)) {
        require(partition->partition >= 0, "a partition is not negative");
        require(keys::position(id, *partition) == bytes, "the key of a position has one form");
    }
    require(keys::name_of(keys::pipeline_name(bytes)) == bytes, "a name survives its key");
}

template <class T, class Decode>
void check_round(const T& value, Decode decode) {
    const std::string bytes = encode(value);
    const auto read = decode(bytes);
    require(read && *read == value, "a value is read as it was written");
    if (bytes.size() > 1) require(!decode(bytes.substr(0, bytes.size() - 1)), "half is refused");
    require(!decode(bytes + '\0'), "more is refused");
}

constexpr std::uint64_t int63_max = INT64_MAX;

WallTime time_of(Input& in) {
    return from_epoch_ms(static_cast<std::int64_t>(in.number()) / 8);  // what decoders take
}

Plan make_plan(Input& in) {
    Plan plan;
    plan.batch_id = in.number();
    plan.planned_at = time_of(in);
    std::vector<std::string> names(1 + in.byte() % 4);
    for (std::string& name : names)
        name = in.text();
    while (!in.empty() && plan.ranges.size() < 1000) {
        plan::PlannedRange planned;
        planned.range.topic_partition = {names[in.byte() % names.size()],
                                         static_cast<std::int32_t>(in.number(4) & 0x7FFFFFFF)};
        planned.topic_id = names[in.byte() % names.size()];
        const std::uint64_t a = in.number() & int63_max;
        const std::uint64_t b = in.number() & int63_max;
        planned.range.from = static_cast<std::int64_t>(std::min(a, b));
        planned.range.until = static_cast<std::int64_t>(std::max(a, b));
        planned.leader_epoch = static_cast<std::int32_t>(in.number(4) & 0x7FFFFFFF) - 1;
        if (in.byte() % 2 == 1) planned.lane = in.byte();
        plan.ranges.push_back(std::move(planned));
    }
    return plan;
}

Commit make_commit(Input& in) {
    Commit commit;
    commit.batch_id = in.number();
    const std::array states{BatchState::committed, BatchState::recovered, BatchState::abandoned};
    commit.state = states[in.byte() % states.size()];
    commit.committed_at = time_of(in);
    commit.attempts = static_cast<std::uint32_t>(in.number(4));
    for (Milliseconds* phase :
         {&commit.phases.read_and_write, &commit.phases.sink_commit, &commit.phases.total}) {
        *phase = Milliseconds{static_cast<std::int64_t>(in.number()) / 8};
    }
    if (commit.state != BatchState::committed) return commit;
    while (!in.empty() && commit.books.size() < 1000) {
        commit.books.push_back({in.number(), in.number(), in.number(), in.number(), in.number(),
                                in.number(), in.number()});
    }
    return commit;
}

LossEntry make_loss(Input& in) {
    LossEntry entry;
    const std::array kinds{plan::LossKind::expired, plan::LossKind::went_back,
                           plan::LossKind::topic_recreated};
    entry.loss.kind = kinds[in.byte() % kinds.size()];
    entry.loss.topic_partition = {in.text(), static_cast<std::int32_t>(in.number(4) & 0x7FFFFFFF)};
    entry.loss.topic_id = in.text();
    const std::uint64_t a = in.number() & int63_max;
    const std::uint64_t b = in.number() & int63_max;
    entry.loss.from = static_cast<std::int64_t>(std::min(a, b));
    entry.loss.until = static_cast<std::int64_t>(std::max(a, b));
    entry.loss.adjusted_start = static_cast<std::int64_t>(in.number() & int63_max) - 1;
    if (in.byte() % 2 == 1) entry.batch_id = in.number();
    entry.detected_at = time_of(in);
    entry.accepted = in.byte() % 2 == 1;
    return entry;
}

void check_value(std::uint8_t kind, Input in) {
    switch (kind % 7) {
        case 0:
            return check_round(make_plan(in), decode_plan);
        case 1:
            return check_round(make_commit(in), decode_commit);
        case 2:
            return check_round(make_loss(in), decode_loss);
        case 3: {
            plan::Position position;
            position.offset = static_cast<std::int64_t>(in.number() & int63_max);
            position.leader_epoch = static_cast<std::int32_t>(in.number(4) & 0x7FFFFFFF) - 1;
            position.topic_id = in.text();
            position.last_advanced = static_cast<std::int64_t>(in.number() & int63_max) - 1;
            return check_round(position, decode_position);
        }
        case 4:
            return check_round(Receipt{in.text(), in.text(), in.text()}, decode_receipt);
        case 5:
            return check_round(ControlEntry{time_of(in), in.text(), in.text()}, decode_control);
        default: {
            const plan::TopicPartition partition{
                in.text(), static_cast<std::int32_t>(in.number(4) & 0x7FFFFFFF)};
            require(keys::partition_of(keys::position(PipelineId{7}, partition)) == partition,
                    "a partition survives its key");
        }
    }
}

}  // namespace

void fuzz_checkpoint(Bytes bytes) {
    Input in(bytes);
    const std::uint8_t kind = in.byte();
    if (kind >= 0x80) return check_value(kind, in);
    // Exactly as long as it is: a sanitizer sees the first byte read beyond it.
    const std::vector<char> copy(in.rest().begin(), in.rest().end());
    const std::string_view entry(copy.data(), copy.size());
    switch (kind % 11) {
        case 0:
            return check_plan(entry);
        case 1:
            return check_commit(entry);
        case 2:
            return check_decoder(decode_position, entry, encoded<plan::Position>);
        case 3:
            return check_decoder(decode_receipt, entry, encoded<Receipt>);
        case 4:
            return check_decoder(decode_loss, entry, encoded<LossEntry>);
        case 5:
            return check_decoder(decode_control, entry, encoded<ControlEntry>);
        case 6:
            return check_decoder(decode_run_state, entry, encoded<RunState>);
        case 7:
            return check_decoder(decode_number, entry,
                                 [](const std::uint64_t& number) { return encode_number(number); });
        case 8:
            return check_decoder(decode_text, entry,
                                 [](const std::string& text) { return encode_text(text); });
        case 9:
            return check_format(entry);
        default:
            return check_keys(entry);
    }
}

}  // namespace sluice::fuzz
