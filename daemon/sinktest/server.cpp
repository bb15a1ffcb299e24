#include "daemon/sinktest/server.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "daemon/sink/record.hpp"
#include "daemon/sinktest/process.hpp"
#include "daemon/sinktest/random.hpp"

namespace sluice::sinktest {
namespace {

/// The daemon asks a write that answers RETRY again at once, before it gives the batch up.
constexpr int write_attempts_max = 4;

sluice_bytes raw(const Bytes& bytes) {
    static const std::uint8_t nothing = 0;
    if (!bytes) return {nullptr, 0};
    if (bytes->empty()) return {&nothing, 0};
    return {reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()};
}

sluice_string raw(const std::string& text) { return {text.data(), text.size()}; }

/// Records as the ABI hands them over, with what they point to.
class Chunk {
 public:
    Chunk(const Recipe& recipe, Flavor flavor, const sink::Range& range, std::int64_t from,
          std::int64_t until, const std::set<std::int64_t>& left_out)
        : topic_(range.topic) {
        for (std::int64_t offset = from; offset < until; ++offset) {
            if (left_out.contains(offset)) continue;
            auto record = record_at(recipe, flavor, {range.topic, range.partition, offset});
            if (record) add(*std::move(record), range.partition, offset);
        }
    }
    [[nodiscard]] std::span<const sluice_record> records() const { return records_; }

 private:
    struct Held : sink::RecordHandle {
        TestRecord record;
        std::vector<sluice_header> headers;
    };

    void add(TestRecord record, std::int32_t partition, std::int64_t offset) {
        Held& held = held_.emplace_back();
        held.record = std::move(record);
        for (const auto& [name, value] : held.record.headers) held.headers.push_back({raw(name), raw(value)});
        held.RecordHandle::headers = [](const sink::RecordHandle* self) noexcept -> sluice_headers {
            const auto& headers = static_cast<const Held*>(self)->headers;
            return {headers.data(), headers.size()};
        };
        records_.push_back({raw(held.record.key), raw(held.record.value), raw(topic_), offset,
                            held.record.timestamp_ms, partition, held.record.timestamp_type,
                            static_cast<const sink::RecordHandle*>(&held)});
    }

    const std::string topic_;
    std::deque<Held> held_;  // records point into it: never moved
    std::vector<sluice_record> records_;
};

/// Hands records to a writer as the daemon does: RETRY is asked again, REJECT_ALL is halved until the
/// bad record is alone.
class Delivery {
 public:
    Delivery(sink::Writer& writer, std::uint32_t range, Answer& answer)
        : writer_(writer), range_(range), answer_(answer) {}

    /// False once the call is to be answered as it stands.
    bool write(std::span<const sluice_record> records) {
        if (records.empty()) return true;
        sink::WriteReply reply = writer_.write(records);
        for (int attempt = 1; reply.status == sink::Status::retry && attempt < write_attempts_max; ++attempt) {
            ++answer_.retries;
            answer_.retry = reply.message;
            std::this_thread::sleep_for(std::chrono::milliseconds{5 << attempt});
            reply = writer_.write(records);
        }
        if (reply.status == sink::Status::ok) return true;
        answer_.message = reply.message;
        if (reply.status != sink::Status::reject) {
            answer_.status = reply.status;
            return false;
        }
        answer_.forms |= 1U << reply.reject_kind;
        switch (reply.reject_kind) {
            case SLUICE_REJECT_ALL: {
                if (records.size() == 1) return refuse(records.front(), reply.message);
                const std::size_t half = records.size() / 2;
                return write(records.first(half)) && write(records.subspan(half));
            }
            case SLUICE_REJECT_BATCH_LOST:
                for (const sink::Reject& reject : reply.rejects) refuse(records[reject.index], reject.reason);
                if (!reply.refused.empty()) answer_.forms |= form_refuse;
                for (sink::Refused& refused : reply.refused) answer_.refused.push_back(std::move(refused));
                answer_.status = sink::Status::reject;
                return false;
            default:
                for (const sink::Reject& reject : reply.rejects) refuse(records[reject.index], reject.reason);
                return true;
        }
    }

 private:
    bool refuse(const sluice_record& record, const std::string& reason) {
        answer_.refused.push_back({range_, record.offset, reason});
        return true;
    }

    sink::Writer& writer_;
    const std::uint32_t range_;
    Answer& answer_;
};

Answer from(sink::Reply reply) {
    Answer answer{reply.status, std::move(reply.message), std::move(reply.receipt),
                  std::move(reply.refused), 0, 0, {}, 0, 0};
    if (!answer.refused.empty()) answer.forms |= form_refuse;
    return answer;
}

std::uint64_t entries_of(const char* directory) {
    std::error_code ignored;
    return static_cast<std::uint64_t>(
        std::distance(std::filesystem::directory_iterator(directory, ignored), {}));
}

class Server {
 public:
    Server(const sink::Plugin& plugin, const sink::Settings& settings, const Recipe& recipe)
        : plugin_(plugin), settings_(settings), recipe_(recipe) {}

    Answer answer(const Request& request) {
        switch (request.op) {
            case Op::open: return open(request.context);
            case Op::close: return sink_.reset(), Answer{};
            case Op::begin: return begin(request);
            case Op::open_writer: return open_writer(request.range);
            case Op::write: return write(request);
            case Op::close_writer: return close_writer(request.range, request.keep);
            case Op::commit: return from(sink_->commit(request.batch.id));
            case Op::abort: return from(sink_->abort(request.batch.id));
            case Op::write_all: return write_all(request);
            case Op::stop: return stopping_ = true, Answer{};
            case Op::count: return count();
        }
        return {};
    }

 private:
    Answer open(sink::SinkContext context) {
        context.memory_max = 1 << 20;  // little: whoever fills it is seen to go on all the same
        sink::OpenReply opened = plugin_.open(context, settings_, stopping_);
        sink_ = std::move(opened.sink);
        return from(std::move(opened.reply));
    }

    Answer begin(const Request& request) {
        batch_ = request.batch;
        flavor_ = request.flavor;
        left_out_.clear();
        for (const sink::Refused& known : request.known) left_out_[known.range_index].insert(known.offset);
        return from(sink_->begin(batch_));
    }

    Answer open_writer(std::uint32_t range) {
        sink::WriterReply opened = sink_->open_writer(batch_.ranges.at(range));
        if (opened.writer) writers_[range] = std::move(opened.writer);
        return from(std::move(opened.reply));
    }

    Answer write(const Request& request) {
        Answer answer;
        const Chunk chunk = chunk_of(request.range, request.from, request.until);
        Delivery(*writers_.at(request.range), request.range, answer).write(chunk.records());
        return answer;
    }

    Answer close_writer(std::uint32_t range, bool keep) {
        Answer answer = from(writers_.at(range)->close(keep));
        writers_.erase(range);
        return answer;
    }

    /// The worst answer of all ranges, and what was refused in any.
    Answer write_all(const Request& request) {
        std::vector<Answer> answers(batch_.ranges.size());
        std::vector<std::thread> threads;
        for (std::uint32_t range = 0; range < answers.size(); ++range) {
            threads.emplace_back([&, range] { answers[range] = write_range(range, request); });
        }
        for (std::thread& thread : threads) thread.join();
        Answer worst;
        for (Answer& answer : answers) {
            if (answer.status > worst.status) {
                worst.status = answer.status;
                worst.message = answer.message;
            }
            worst.forms |= answer.forms;
            worst.retries += answer.retries;
            if (worst.retry.empty()) worst.retry = answer.retry;
            worst.refused.insert(worst.refused.end(), answer.refused.begin(), answer.refused.end());
        }
        return worst;
    }

    Answer write_range(std::uint32_t index, const Request& request) {
        const sink::Range& range = batch_.ranges[index];
        Random random(recipe_.seed ^ batch_.id << 16 ^ index);
        sink::WriterReply opened = sink_->open_writer(range);
        Answer answer = from(std::move(opened.reply));
        if (!opened.writer) return answer;
        Delivery delivery(*opened.writer, index, answer);
        for (std::int64_t at = range.from; at < range.until; at += request.chunk) {
            const Chunk chunk = chunk_of(index, at, std::min<std::int64_t>(at + request.chunk, range.until));
            if (!delivery.write(chunk.records())) {
                (void)opened.writer->close(false);
                return answer;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{random.below(request.pause_ms + 1)});
        }
        Answer closed = from(opened.writer->close(true));
        closed.forms |= answer.forms;
        closed.retries = answer.retries;
        closed.retry = answer.retry;
        closed.refused.insert(closed.refused.end(), answer.refused.begin(), answer.refused.end());
        return closed;
    }

    [[nodiscard]] Chunk chunk_of(std::uint32_t range, std::int64_t from, std::int64_t until) const {
        static const std::set<std::int64_t> none;
        const auto left_out = left_out_.find(range);
        return {recipe_, flavor_, batch_.ranges.at(range), from, until,
                left_out == left_out_.end() ? none : left_out->second};
    }

    Answer count() const {
        Answer answer;
        answer.descriptors = entries_of("/proc/self/fd");
        answer.threads = entries_of("/proc/self/task");
        return answer;
    }

    const sink::Plugin& plugin_;
    const sink::Settings& settings_;
    const Recipe& recipe_;
    std::atomic<bool> stopping_{false};
    std::unique_ptr<sink::Sink> sink_;
    sink::Batch batch_;
    Flavor flavor_ = Flavor::plain;
    std::map<std::uint32_t, std::set<std::int64_t>> left_out_;
    std::map<std::uint32_t, std::unique_ptr<sink::Writer>> writers_;  ///< destroyed before the sink
};

}  // namespace

void serve(int socket, const sink::Plugin& plugin, const sink::Settings& settings,
           const Recipe& recipe) {
    Server server(plugin, settings, recipe);
    std::string text;
    while (receive(socket, text)) {
        if (!send(socket, encoded(server.answer(decoded_request(text))))) return;
    }
}

}  // namespace sluice::sinktest
