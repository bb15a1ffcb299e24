#include "harness.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace file_test {
namespace {

/// What set_error() was given in this thread's call; writers run in several.
thread_local std::string last_error;

sluice_string text_of(const std::string& text) { return {text.data(), text.size()}; }
sluice_bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TestSink& self(const sluice_host* host) { return *static_cast<TestSink*>(host->context); }

const sluice_sink_api& api() { return *sluice_sink_plugin_v1()->api; }

sluice_range raw(const Range& range, std::uint32_t index, const std::string& token) {
    return {text_of(range.topic), range.partition, index, range.from, range.until, text_of(token)};
}

}  // namespace

TempDir::TempDir() {
    // What is tested is the order of the calls, which a memory file system keeps too; a disk shared with
    // other tests would take a minute for the fsyncs of this one.
    const fs::path shared_memory = "/dev/shm";
    const fs::path parent =
        ::access(shared_memory.c_str(), W_OK) == 0 ? shared_memory : fs::temp_directory_path();
    std::string name = (parent / "sluice-file-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::string value_of(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    return topic + "-" + std::to_string(partition) + "@" + std::to_string(offset);
}

TestSink::TestSink(const Settings& settings, const Checkpoint& checkpoint) {
    host_.struct_size = sizeof host_;
    host_.context = this;
    host_.log = [](const sluice_host* host, std::int32_t, sluice_string message) {
        self(host).log.emplace_back(message.data, message.size);
    };
    host_.memory_held = [](const sluice_host* host, std::uint64_t bytes) {
        self(host).memory_held = bytes;
    };
    host_.set_error = [](const sluice_host*, sluice_string message) {
        last_error.assign(message.data, message.size);
    };
    host_.headers = [](const sluice_host* host, const sluice_record*) -> sluice_headers {
        return {self(host).headers.data(), self(host).headers.size()};
    };
    std::vector<sluice_setting> items;
    for (const auto& [name, value] : settings) items.push_back({text_of(name), text_of(value)});
    sluice_config config{};
    config.struct_size = sizeof config;
    config.setting_count = static_cast<std::uint32_t>(items.size());
    config.settings = items.data();
    config.pipeline = text_of(checkpoint.pipeline);
    config.cluster_id = text_of(checkpoint.cluster);
    config.next_batch_id = checkpoint.next_batch;
    sluice_bytes initial{nullptr, 0};
    sluice_status status = api().check(&host_, &config);
    if (status == SLUICE_OK)
        status = api().open(&host_, &config,
                            checkpoint.receipt ? bytes_of(*checkpoint.receipt)
                                               : sluice_bytes{nullptr, 0},
                            &sink_, &initial);
    opened_ = reply(status, initial);
}

TestSink::~TestSink() {
    if (sink_ != nullptr) api().close(sink_);
}

Reply TestSink::reply(sluice_status status, sluice_bytes receipt) {
    Reply answer{status, std::exchange(last_error, {}), {}};
    if (receipt.data != nullptr)
        answer.receipt.assign(reinterpret_cast<const char*>(receipt.data), receipt.size);
    return answer;
}

Reply TestSink::begin(std::uint64_t batch, const Plan& plan, bool is_rerun) {
    std::vector<sluice_range> ranges;
    const std::string token = "orders/batch/range";
    for (const Range& range : plan)
        ranges.push_back(raw(range, static_cast<std::uint32_t>(ranges.size()), token));
    sluice_batch raw_batch{};
    raw_batch.struct_size = sizeof raw_batch;
    raw_batch.range_count = static_cast<std::uint32_t>(ranges.size());
    raw_batch.id = batch;
    raw_batch.ranges = ranges.data();
    raw_batch.is_rerun = is_rerun ? 1 : 0;
    sluice_bytes receipt{nullptr, 0};
    const sluice_status status = api().begin(sink_, &raw_batch, &receipt);
    return reply(status, receipt);
}

Reply TestSink::open_writer(std::uint64_t batch, std::uint32_t index, const Range& range,
                            sluice_writer** writer) {
    const std::string token = "orders/" + std::to_string(batch) + "/" + std::to_string(index);
    const sluice_range raw_range = raw(range, index, token);
    return reply(api().writer_open(sink_, &raw_range, writer));
}

Reply TestSink::write_records(sluice_writer* writer, const std::vector<sluice_record>& records) {
    sluice_rejected rejected{};
    rejected.struct_size = sizeof rejected;
    return reply(api().writer_write(writer, records.data(), records.size(), &rejected));
}

Reply TestSink::close_writer(sluice_writer* writer, bool keep) {
    return reply(api().writer_close(writer, keep ? 1 : 0));
}

Reply TestSink::write(std::uint64_t batch, std::uint32_t index, const Range& range,
                      const std::function<bool(std::int64_t)>& is_gap) {
    sluice_writer* writer = nullptr;
    Reply answer = open_writer(batch, index, range, &writer);
    if (answer.status != SLUICE_OK) return answer;
    constexpr std::int64_t chunk = 1000;
    for (std::int64_t at = range.from; at < range.until; at += chunk) {
        std::vector<std::string> values;
        std::vector<sluice_record> records;
        values.reserve(chunk);
        for (std::int64_t offset = at; offset < std::min(at + chunk, range.until); ++offset) {
            if (is_gap && is_gap(offset)) continue;
            values.push_back(value_of(range.topic, range.partition, offset));
            sluice_record record{};
            record.value = bytes_of(values.back());
            record.topic = text_of(range.topic);
            record.partition = range.partition;
            record.offset = offset;
            record.timestamp_ms = 1'700'000'000'000;
            record.timestamp_type = SLUICE_TIMESTAMP_CREATE;
            records.push_back(record);
        }
        answer = write_records(writer, records);
        if (answer.status != SLUICE_OK) {
            (void)close_writer(writer, false);
            return answer;
        }
    }
    return close_writer(writer, true);
}

Reply TestSink::commit(std::uint64_t batch) {
    sluice_bytes receipt{nullptr, 0};
    const sluice_status status = api().commit(sink_, batch, &receipt);
    return reply(status, receipt);
}

Reply TestSink::abort(std::uint64_t batch) { return reply(api().abort(sink_, batch)); }

Reply run_batch(TestSink& sink, Checkpoint& checkpoint, const Plan& plan, bool is_rerun) {
    if (sink.opened().status != SLUICE_OK) return sink.opened();
    if (!checkpoint.receipt) checkpoint.receipt = sink.opened().receipt;
    const auto batch = static_cast<std::uint64_t>(checkpoint.next_batch);
    Reply answer = sink.begin(batch, plan, is_rerun);
    if (answer.status == SLUICE_OK) {
        std::uint32_t index = 0;
        for (const Range& range : plan) {
            answer = sink.write(batch, index++, range);
            if (answer.status != SLUICE_OK) return answer;
        }
        answer = sink.commit(batch);
        if (answer.status != SLUICE_OK) return answer;
    } else if (answer.status != SLUICE_ALREADY_COMMITTED) {
        return answer;
    }
    checkpoint.receipt = answer.receipt;
    ++checkpoint.next_batch;
    return answer;
}

Reply run_batch(const Settings& settings, Checkpoint& checkpoint, const Plan& plan, bool is_rerun) {
    TestSink sink(settings, checkpoint);
    return run_batch(sink, checkpoint, plan, is_rerun);
}

bool dies_at(const std::string& failpoint, const std::function<void()>& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::setenv("SLUICE_FAILPOINT", failpoint.c_str(), 1);
        work();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

std::string decompressed(const fs::path& path) {
    std::string out;
    std::array<char, 65536> buffer{};
    if (path.extension() == ".gz") {
        const gzFile file = ::gzopen(path.c_str(), "rb");
        REQUIRE(file != nullptr);
        int got = 0;
        while ((got = ::gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0)
            out.append(buffer.data(), static_cast<std::size_t>(got));
        CHECK(got == 0);
        CHECK(::gzclose(file) == Z_OK);
        return out;
    }
    const std::string raw_content = read_file(path);
    if (path.extension() != ".zst") return raw_content;
    ZSTD_DCtx* const context = ::ZSTD_createDCtx();
    ZSTD_inBuffer input{raw_content.data(), raw_content.size(), 0};
    std::size_t left = 0;
    while (input.pos < input.size) {
        ZSTD_outBuffer output{buffer.data(), buffer.size(), 0};
        left = ::ZSTD_decompressStream(context, &output, &input);
        REQUIRE(!::ZSTD_isError(left));
        out.append(buffer.data(), output.pos);
    }
    CHECK(left == 0);  // the last frame is whole
    ::ZSTD_freeDCtx(context);
    return out;
}

std::map<std::string, std::string> contents(const fs::path& path) {
    std::map<std::string, std::string> found;
    for (auto at = fs::recursive_directory_iterator(path); at != fs::recursive_directory_iterator();
         ++at) {
        const std::string name = at->path().filename().string();
        const bool ours = at.depth() == 0 && (name == "_batches" || name == "_sluice.json");
        if (ours || name.front() == '.') {
            at.disable_recursion_pending();
        } else if (at->is_regular_file()) {
            found[fs::relative(at->path(), path).string()] = decompressed(at->path());
        }
    }
    return found;
}

std::vector<std::string> sorted_lines(const fs::path& path) {
    std::vector<std::string> lines;
    for (const auto& [name, content] : contents(path)) {
        std::istringstream in(content);
        for (std::string line; std::getline(in, line);) lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

std::vector<std::string> expected_lines(const std::vector<Plan>& plans) {
    std::vector<std::string> lines;
    for (const Plan& plan : plans)
        for (const Range& range : plan)
            for (std::int64_t offset = range.from; offset < range.until; ++offset)
                lines.push_back(value_of(range.topic, range.partition, offset));
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace file_test
