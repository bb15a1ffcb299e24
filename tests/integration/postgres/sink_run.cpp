#include "tests/integration/postgres/sink_run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace sluice::test {
namespace {

sluice_bytes raw(const std::optional<std::string>& bytes) {
    if (!bytes) return {nullptr, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

}  // namespace

const sink::Plugin& postgres_plugin() {
    static const auto plugin =
        sink::load_plugin(std::string(SLUICE_TEST_BINARY_DIR) + "/lib/sluice/postgres.so");
    REQUIRE_MESSAGE(plugin.has_value(), plugin.error().message);
    return **plugin;
}

TestRecord plain_record(std::int32_t partition, std::int64_t offset) {
    return {"k", std::to_string(partition) + "@" + std::to_string(offset)};
}

SinkRun::SinkRun(const sink::Settings& settings, TestCheckpoint& checkpoint, std::uint64_t memory_max)
    : checkpoint_(checkpoint) {
    sink::OpenReply reply =
        postgres_plugin().open({checkpoint.pipeline, checkpoint.cluster, checkpoint.next_batch,
                                checkpoint.receipt, memory_max, &memory_held},
                               settings, stopping_);
    opened = reply.reply;
    sink_ = std::move(reply.sink);
    if (sink_ && !checkpoint.receipt) checkpoint.receipt = opened.receipt;
}

std::vector<sink::Range> SinkRun::ranges_of(const TestPlan& plan) const {
    std::vector<sink::Range> ranges;
    for (const TestRange& range : plan) {
        const auto index = static_cast<std::uint32_t>(ranges.size());
        ranges.push_back({"orders", range.partition, index, range.from, range.until,
                          checkpoint_.pipeline + "/" + std::to_string(checkpoint_.next_batch) +
                              "/" + std::to_string(index)});
    }
    return ranges;
}

sink::Reply SinkRun::begin(const TestPlan& plan, bool is_rerun) {
    return sink_->begin({checkpoint_.next_batch, is_rerun, ranges_of(plan)});
}

sink::Reply SinkRun::write(const TestPlan& plan, const RecordAt& record_at) {
    sink::Reply worst;
    std::mutex mutex;
    std::vector<std::thread> threads;
    for (const sink::Range& range : ranges_of(plan)) {
        threads.emplace_back([&, range] {
            const auto note = [&](const sink::Status status, const std::string& message) {
                const std::lock_guard lock(mutex);
                if (worst.status == sink::Status::ok) worst = {status, message, {}};
            };
            sink::WriterReply opened_writer = sink_->open_writer(range);
            if (!opened_writer.writer)
                return note(opened_writer.reply.status, opened_writer.reply.message);
            std::vector<TestRecord> records;
            std::vector<std::int64_t> offsets;
            std::vector<sluice_record> raw_records;
            for (std::int64_t at = range.from; at < range.until;) {
                records.clear();
                offsets.clear();
                raw_records.clear();
                for (; at < range.until && records.size() < 1000; ++at) {
                    if (const auto known = known_.find({range.index, at}); known != known_.end()) {
                        const std::lock_guard lock(mutex);
                        refused[at] = known->second;
                        continue;
                    }
                    records.push_back(record_at(range.partition, at));
                    offsets.push_back(at);
                }
                if (records.empty()) break;
                for (std::size_t i = 0; i < records.size(); ++i)
                    raw_records.push_back({raw(records[i].key), raw(records[i].value),
                                           SLUICE_STRING("orders"), offsets[i], 1'700'000'000'000,
                                           range.partition, SLUICE_TIMESTAMP_CREATE, nullptr});
                const sink::WriteReply reply = opened_writer.writer->write(raw_records);
                if (reply.status == sink::Status::reject) {
                    CHECK(reply.reject_kind == SLUICE_REJECT_WHICH);
                    const std::lock_guard lock(mutex);
                    for (const sink::Reject& reject : reply.rejects)
                        refused[offsets[reject.index]] = reject.reason;
                } else if (reply.status != sink::Status::ok) {
                    (void)opened_writer.writer->close(false);
                    return note(reply.status, reply.message);
                }
            }
            const sink::Reply closed = opened_writer.writer->close(true);
            if (closed.status != sink::Status::ok) note(closed.status, closed.message);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    return worst;
}

sink::Reply SinkRun::commit() {
    sink::Reply reply = sink_->commit(checkpoint_.next_batch);
    if (reply.status == sink::Status::ok) {
        checkpoint_.receipt = reply.receipt;
        ++checkpoint_.next_batch;
    }
    return reply;
}

sink::Reply SinkRun::abort() {
    return sink_->abort(checkpoint_.next_batch);
}

sink::Reply SinkRun::batch(const TestPlan& plan, const RecordAt& record_at, bool is_rerun,
                           int retries) {
    known_.clear();
    for (int attempt = 0;; is_rerun = true) {
        refused.clear();
        sink::Reply reply = begin(plan, is_rerun);
        const bool begun = reply.status == sink::Status::ok;
        if (reply.status == sink::Status::already_committed) {
            checkpoint_.receipt = reply.receipt;
            ++checkpoint_.next_batch;
            return reply;
        }
        if (begun) reply = write(plan, record_at);
        if (begun && reply.status == sink::Status::ok) reply = commit();
        if (reply.status == sink::Status::ok) return reply;
        if (begun) CHECK(abort().status == sink::Status::ok);
        if (reply.status == sink::Status::reject) {
            const std::size_t before = known_.size();
            for (const sink::Refused& record : reply.refused)
                known_[{record.range_index, record.offset}] = record.reason;
            if (known_.size() == before) return reply;
            ++lost;
            continue;
        }
        if (reply.status != sink::Status::retry || attempt++ == retries) return reply;
        retried.push_back(reply.message);
    }
}

}  // namespace sluice::test
