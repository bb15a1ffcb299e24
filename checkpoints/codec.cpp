#include "checkpoints/codec.hpp"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "checkpoints/wire.hpp"

namespace sluice::checkpoints {
namespace {

constexpr std::uint8_t layout = 1;
constexpr std::uint32_t int32_max = 0x7FFFFFFF;
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

Writer begin() {
    Writer writer;
    writer.byte(layout);
    return writer;
}

void read_layout(Reader& reader) {
    if (const std::uint8_t found = reader.byte(); reader.ok() && found != layout) {
        reader.reject("unknown layout " + std::to_string(found));
    }
}

template <class T>
Result<T> finished(Reader& reader, T value) {
    if (std::string fault = reader.finish(); !fault.empty()) {
        return Error{ErrorCode::storage, std::move(fault)};
    }
    return value;
}

/// Instants and durations below 292 million years fit; the bound keeps arithmetic from overflowing.
WallTime read_time(Reader& reader) {
    return from_epoch_ms(reader.zigzag(-(int64_max / 4), int64_max / 4));
}
Milliseconds read_duration(Reader& reader) {
    return Milliseconds{reader.zigzag(-(int64_max / 4), int64_max / 4)};
}
std::int32_t read_epoch(Reader& reader) {
    return static_cast<std::int32_t>(reader.zigzag(-1, int32_max));
}
std::int32_t read_partition(Reader& reader) {
    return static_cast<std::int32_t>(reader.varint(int32_max));
}
bool read_bool(Reader& reader) { return reader.varint(1) == 1; }

/// Topics and topic ids of a plan, each written once: 100,000 ranges name few of them.
class StringTable {
 public:
    std::uint64_t place_of(const std::string& text) {
        const auto [found, added] = places_.try_emplace(text, texts_.size());
        if (added) texts_.push_back(text);
        return found->second;
    }
    [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }

 private:
    std::unordered_map<std::string, std::uint64_t> places_;
    std::vector<std::string> texts_;
};

BatchState read_outcome_state(Reader& reader) {
    switch (reader.byte()) {
        case 1: return BatchState::committed;
        case 2: return BatchState::recovered;
        case 3: return BatchState::abandoned;
        default: reader.reject("unknown batch state"); return BatchState::committed;
    }
}

std::uint8_t number_of(BatchState state) {
    switch (state) {
        case BatchState::committed: return 1;
        case BatchState::recovered: return 2;
        case BatchState::abandoned: return 3;
        case BatchState::planned: break;  // never written: it is a plan without a commit
    }
    SLUICE_ASSERT(state != BatchState::planned);
    return 0;
}

}  // namespace

std::string_view name_of(BatchState state) noexcept {
    switch (state) {
        case BatchState::planned: return "planned";
        case BatchState::committed: return "committed";
        case BatchState::recovered: return "recovered";
        case BatchState::abandoned: return "abandoned";
    }
    return "planned";
}

std::string_view name_of(RunState state) noexcept {
    switch (state) {
        case RunState::running: return "running";
        case RunState::paused: return "paused";
        case RunState::stopped: return "stopped";
    }
    return "running";
}

std::string encode(const FormatStamp& stamp) {
    return Writer{}.varint(stamp.format).text(stamp.written_by).take();
}

Result<FormatStamp> decode_format(std::string_view bytes) {
    Reader reader(bytes);
    FormatStamp stamp;
    stamp.format = reader.varint();
    stamp.written_by = reader.text();
    if (!reader.ok()) return Error{ErrorCode::storage, reader.fault()};
    return stamp;
}

std::string encode(const Plan& plan) {
    StringTable strings;
    for (const plan::PlannedRange& planned : plan.ranges) {
        strings.place_of(planned.range.topic_partition.topic);
        strings.place_of(planned.topic_id);
    }
    Writer writer = begin();
    writer.varint(plan.batch_id).zigzag(to_epoch_ms(plan.planned_at));
    writer.varint(strings.texts().size());
    for (const std::string& text : strings.texts()) writer.text(text);
    writer.varint(plan.ranges.size());
    for (const plan::PlannedRange& planned : plan.ranges) {
        const plan::OffsetRange& range = planned.range;
        writer.varint(strings.place_of(range.topic_partition.topic))
            .varint(strings.place_of(planned.topic_id))
            .varint(static_cast<std::uint32_t>(range.topic_partition.partition))
            .varint(static_cast<std::uint64_t>(range.from))
            .varint(static_cast<std::uint64_t>(range.until - range.from))
            .zigzag(planned.leader_epoch)
            .varint(planned.lane ? *planned.lane + 1 : 0);
    }
    return writer.take();
}

Result<Plan> decode_plan(std::string_view bytes) {
    Reader reader(bytes);
    Plan plan;
    read_layout(reader);
    plan.batch_id = reader.varint();
    plan.planned_at = read_time(reader);
    std::vector<std::string_view> strings(reader.count(1));
    for (std::string_view& text : strings) text = reader.text();
    std::size_t used = 0;  // names stand in the order of their first use
    const auto string_at = [&]() -> std::string_view {
        const std::uint64_t place = reader.varint();
        if (reader.ok() && place >= strings.size()) reader.reject("a name that is not there");
        if (reader.ok() && place > used) reader.reject("a name before its turn");
        if (place == used) ++used;
        return reader.ok() ? strings[static_cast<std::size_t>(place)] : std::string_view{};
    };
    const std::size_t ranges = reader.count(7);
    plan.ranges.reserve(ranges);
    for (std::size_t i = 0; i < ranges && reader.ok(); ++i) {
        plan::PlannedRange planned;
        planned.range.topic_partition.topic = string_at();
        planned.topic_id = string_at();
        planned.range.topic_partition.partition = read_partition(reader);
        planned.range.from = static_cast<std::int64_t>(reader.varint(int64_max));
        // from <= until by construction: the size can't be negative, and may not carry past the top.
        const auto size_max = static_cast<std::uint64_t>(int64_max - planned.range.from);
        planned.range.until =
            planned.range.from + static_cast<std::int64_t>(reader.varint(size_max));
        planned.leader_epoch = read_epoch(reader);
        if (const std::uint64_t lane = reader.varint(); lane != 0) {
            planned.lane = static_cast<std::size_t>(lane - 1);
        }
        plan.ranges.push_back(std::move(planned));
    }
    if (used < strings.size()) reader.reject("a name that no range uses");
    if (std::unordered_set(strings.begin(), strings.end()).size() < strings.size()) {
        reader.reject("a name that is there twice");
    }
    return finished(reader, std::move(plan));
}

Result<WallTime> decode_planned_at(std::string_view plan_bytes) {
    Reader reader(plan_bytes);
    read_layout(reader);
    reader.varint();
    const WallTime planned_at = read_time(reader);
    if (!reader.ok()) return Error{ErrorCode::storage, reader.fault()};
    return planned_at;
}

std::string encode(const Commit& commit) {
    Writer writer = begin();
    writer.varint(commit.batch_id)
        .byte(number_of(commit.state))
        .zigzag(to_epoch_ms(commit.committed_at))
        .varint(commit.attempts)
        .zigzag(commit.phases.read_and_write.count())
        .zigzag(commit.phases.sink_commit.count())
        .zigzag(commit.phases.total.count())
        .varint(commit.books.size());
    for (const RangeBooks& books : commit.books) {
        writer.varint(books.polled)
            .varint(books.gaps)
            .varint(books.accepted)
            .varint(books.filtered)
            .varint(books.dead_lettered)
            .varint(books.lost)
            .varint(books.bytes);
    }
    return writer.take();
}

Result<Commit> decode_commit(std::string_view bytes) {
    Reader reader(bytes);
    Commit commit;
    read_layout(reader);
    commit.batch_id = reader.varint();
    commit.state = read_outcome_state(reader);
    commit.committed_at = read_time(reader);
    commit.attempts =
        static_cast<std::uint32_t>(reader.varint(std::numeric_limits<std::uint32_t>::max()));
    commit.phases.read_and_write = read_duration(reader);
    commit.phases.sink_commit = read_duration(reader);
    commit.phases.total = read_duration(reader);
    commit.books.resize(reader.count(7));
    for (RangeBooks& books : commit.books) {
        books.polled = reader.varint();
        books.gaps = reader.varint();
        books.accepted = reader.varint();
        books.filtered = reader.varint();
        books.dead_lettered = reader.varint();
        books.lost = reader.varint();
        books.bytes = reader.varint();
    }
    if (commit.state != BatchState::committed && !commit.books.empty()) {
        reader.reject("books of a batch that has none");
    }
    return finished(reader, std::move(commit));
}

Result<Outcome> decode_outcome(std::string_view commit_bytes) {
    Reader reader(commit_bytes);
    Outcome outcome;
    read_layout(reader);
    reader.varint();
    outcome.state = read_outcome_state(reader);
    outcome.committed_at = read_time(reader);
    if (!reader.ok()) return Error{ErrorCode::storage, reader.fault()};
    return outcome;
}

std::string encode(const plan::Position& position) {
    return begin()
        .varint(static_cast<std::uint64_t>(position.offset))
        .zigzag(position.leader_epoch)
        .text(position.topic_id)
        .zigzag(position.last_advanced)
        .take();
}

Result<plan::Position> decode_position(std::string_view bytes) {
    Reader reader(bytes);
    plan::Position position;
    read_layout(reader);
    position.offset = static_cast<std::int64_t>(reader.varint(int64_max));
    position.leader_epoch = read_epoch(reader);
    position.topic_id = reader.text();
    position.last_advanced = reader.zigzag(-1);
    return finished(reader, std::move(position));
}

std::string encode(const Receipt& receipt) {
    return begin().text(receipt.plugin).text(receipt.target).text(receipt.bytes).take();
}

Result<Receipt> decode_receipt(std::string_view bytes) {
    Reader reader(bytes);
    Receipt receipt;
    read_layout(reader);
    receipt.plugin = reader.text();
    receipt.target = reader.text();
    receipt.bytes = reader.text();
    return finished(reader, std::move(receipt));
}

std::string encode(const LossEntry& entry) {
    return begin()
        .text(plan::name_of(entry.loss.kind))
        .text(entry.loss.topic_partition.topic)
        .varint(static_cast<std::uint32_t>(entry.loss.topic_partition.partition))
        .text(entry.loss.topic_id)
        .zigzag(entry.loss.from)
        .zigzag(entry.loss.until)
        .zigzag(entry.loss.adjusted_start)
        .byte(entry.batch_id ? 1 : 0)
        .varint(entry.batch_id.value_or(0))
        .zigzag(to_epoch_ms(entry.detected_at))
        .byte(entry.accepted ? 1 : 0)
        .take();
}

Result<LossEntry> decode_loss(std::string_view bytes) {
    Reader reader(bytes);
    LossEntry entry;
    read_layout(reader);
    // By name, not by number: the planner owns the kinds and may order them as it likes.
    const std::string_view kind = reader.text();
    if (reader.ok() && !plan::parse_loss_kind(kind, entry.loss.kind)) {
        reader.reject("unknown kind of loss");
    }
    entry.loss.topic_partition.topic = reader.text();
    entry.loss.topic_partition.partition = read_partition(reader);
    entry.loss.topic_id = reader.text();
    entry.loss.from = reader.zigzag(0);
    entry.loss.until = reader.zigzag(0);
    entry.loss.adjusted_start = reader.zigzag(-1);
    if (entry.loss.from > entry.loss.until) reader.reject("from above until");
    const bool has_batch = read_bool(reader);
    const std::uint64_t batch_id = reader.varint();
    if (has_batch) entry.batch_id = batch_id;
    if (!has_batch && batch_id != 0) reader.reject("a batch that is not there");
    entry.detected_at = read_time(reader);
    entry.accepted = read_bool(reader);
    return finished(reader, std::move(entry));
}

std::string encode(const ControlEntry& entry) {
    return begin()
        .zigzag(to_epoch_ms(entry.at))
        .text(entry.action)
        .text(entry.detail)
        .take();
}

Result<ControlEntry> decode_control(std::string_view bytes) {
    Reader reader(bytes);
    ControlEntry entry;
    read_layout(reader);
    entry.at = read_time(reader);
    entry.action = reader.text();
    entry.detail = reader.text();
    return finished(reader, std::move(entry));
}

std::string encode(const std::vector<RefusedRecord>& records) {
    Writer writer = begin();
    writer.varint(records.size());
    for (const RefusedRecord& record : records) {
        writer.text(record.topic_partition.topic)
            .varint(static_cast<std::uint64_t>(record.topic_partition.partition))
            .varint(static_cast<std::uint64_t>(record.offset))
            .text(record.reason);
    }
    return writer.take();
}

Result<std::vector<RefusedRecord>> decode_refused(std::string_view bytes) {
    Reader reader(bytes);
    read_layout(reader);
    constexpr std::size_t record_bytes_min = 4;
    const std::size_t count = reader.count(record_bytes_min);
    std::vector<RefusedRecord> records;
    records.reserve(count);
    for (std::size_t i = 0; i < count && reader.ok(); ++i) {
        RefusedRecord& record = records.emplace_back();
        record.topic_partition.topic = reader.text();
        record.topic_partition.partition = read_partition(reader);
        record.offset = static_cast<std::int64_t>(reader.varint(int64_max));
        record.reason = reader.text();
    }
    return finished(reader, std::move(records));
}

std::string encode(RunState state) {
    return begin().byte(static_cast<std::uint8_t>(state)).take();
}

Result<RunState> decode_run_state(std::string_view bytes) {
    Reader reader(bytes);
    read_layout(reader);
    const std::uint8_t state = reader.byte();
    if (state > static_cast<std::uint8_t>(RunState::stopped)) reader.reject("unknown run state");
    return finished(reader, static_cast<RunState>(reader.ok() ? state : 0));
}

std::string encode_number(std::uint64_t number) { return begin().varint(number).take(); }

Result<std::uint64_t> decode_number(std::string_view bytes) {
    Reader reader(bytes);
    read_layout(reader);
    const std::uint64_t number = reader.varint();
    return finished(reader, number);
}

std::string encode_text(std::string_view text) { return begin().text(text).take(); }

Result<std::string> decode_text(std::string_view bytes) {
    Reader reader(bytes);
    read_layout(reader);
    std::string text(reader.text());
    return finished(reader, std::move(text));
}

}  // namespace sluice::checkpoints
