#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/sink/record.hpp"
#include "tests/unit/sink/scripted_plugin.hpp"

using namespace sluice;
using namespace sluice::sink;
using namespace sluice::sink::testing;

namespace {

const std::atomic<bool> running{false};
const Range range0{"orders", 3, 0, 10, 20, "p/7/0"};
const Batch batch7{7, false, {range0}};

std::shared_ptr<const Plugin> scripted() {
    auto plugin = plugin_from_table(&scripted_table(), "scripted", "scripted.so");
    REQUIRE(plugin);
    return *plugin;
}

OpenReply open_scripted() {
    return scripted()->open({"p", "cluster", 0, {}}, {}, running);
}

std::unique_ptr<Sink> open_sink_now() {
    OpenReply reply = open_scripted();
    REQUIRE(reply.reply.status == Status::ok);
    return std::move(reply.sink);
}

std::unique_ptr<Writer> open_writer_now(Sink& sink) {
    REQUIRE(sink.begin(batch7).status == Status::ok);
    WriterReply reply = sink.open_writer(range0);
    REQUIRE(reply.reply.status == Status::ok);
    return std::move(reply.writer);
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

std::string text_of(sluice_string text) {
    return {text.data, text.size};
}
std::string text_of(sluice_bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

/// Answers REJECT with these indexes, once.
auto rejecting(std::vector<sluice_reject> items, std::int32_t kind = SLUICE_REJECT_WHICH) {
    return [items = std::move(items), kind](const sluice_record*, std::size_t,
                                            sluice_rejected* rejected) -> sluice_status {
        rejected->kind = kind;
        rejected->items = items.data();
        rejected->count = items.size();
        return SLUICE_REJECT;
    };
}
sluice_reject item(std::size_t index, std::string_view reason = "bad") {
    return {index, {reason.data(), reason.size()}};
}

}  // namespace

TEST_CASE("the plugin's calls follow the life of a sink") {
    Script script;
    {
        const auto sink = open_sink_now();
        const auto writer = open_writer_now(*sink);
        const std::vector<sluice_record> records(3);
        CHECK(writer->write(records).status == Status::ok);
        CHECK(writer->close(true).status == Status::ok);
        CHECK(sink->commit(7).status == Status::ok);
    }
    CHECK(script.calls == std::vector<std::string>{"open", "begin 7", "writer_open 0", "write 3",
                                                   "writer_close 1", "commit 7", "close"});
}

TEST_CASE("open hands over settings, names, the next batch id and the receipt") {
    Script script;
    script.open = [](const sluice_config& config, sluice_bytes receipt, sluice_bytes* initial) {
        CHECK(config.struct_size == sizeof(sluice_config));
        REQUIRE(config.setting_count == 2);
        CHECK(text_of(config.settings[0].name) == "path");
        CHECK(text_of(config.settings[0].value) == "/srv");
        CHECK(text_of(config.settings[1].value) == "");
        CHECK(text_of(config.pipeline) == "p");
        CHECK(text_of(config.cluster_id) == "cluster");
        CHECK(config.next_batch_id == 12);
        CHECK(text_of(receipt) == "last");
        *initial = bytes("first");
        return SLUICE_OK;
    };
    const OpenReply reply =
        scripted()->open({"p", "cluster", 12, "last"}, {{"path", "/srv"}, {"prefix", ""}}, running);
    CHECK(reply.reply.status == Status::ok);
    CHECK(reply.reply.receipt == "first");
}

TEST_CASE("a sink is told how much it may buffer, and what it says it holds is seen until it is closed") {
    Script script;
    script.open = [](const sluice_config& config, sluice_bytes, sluice_bytes*) {
        CHECK(config.memory_max == 4096);
        return SLUICE_OK;
    };
    std::atomic<std::uint64_t> held{0};
    SinkContext context{"p", "c", 0, std::nullopt};
    context.memory_max = 4096;
    context.memory_held = &held;
    OpenReply reply = scripted()->open(context, {}, running);
    script.host->memory_held(script.host, 3000);
    CHECK(held == 3000);
    reply.sink.reset();
    CHECK(held == 0);
}

TEST_CASE("no receipt is NULL, and an empty one is not") {
    Script script;
    const std::uint8_t* seen = nullptr;
    script.open = [&](const sluice_config&, sluice_bytes receipt, sluice_bytes*) {
        seen = receipt.data;
        return SLUICE_OK;
    };
    (void)scripted()->open({"p", "c", 0, std::nullopt}, {}, running);
    CHECK(seen == nullptr);
    (void)scripted()->open({"p", "c", 0, std::string()}, {}, running);
    CHECK(seen != nullptr);
}

TEST_CASE("begin hands over the batch with its ranges") {
    Script script;
    script.begin = [](const sluice_batch& batch, sluice_bytes*) {
        CHECK(batch.struct_size == sizeof(sluice_batch));
        CHECK(batch.id == 8);
        CHECK(batch.is_rerun == 1);
        REQUIRE(batch.range_count == 2);
        CHECK(text_of(batch.ranges[1].topic) == "payments");
        CHECK(batch.ranges[1].partition == 1);
        CHECK(batch.ranges[1].index == 1);
        CHECK(batch.ranges[1].from == 5);
        CHECK(batch.ranges[1].until == 6);
        CHECK(text_of(batch.ranges[1].token) == "p/8/1");
        return SLUICE_OK;
    };
    const auto sink = open_sink_now();
    CHECK(sink->begin({8, true, {range0, {"payments", 1, 1, 5, 6, "p/8/1"}}}).status == Status::ok);
}

TEST_CASE("receipts of begin and commit are copied") {
    Script script;
    std::string receipt = "seven";
    script.begin = [&](const sluice_batch&, sluice_bytes* out) {
        *out = bytes(receipt);
        return SLUICE_ALREADY_COMMITTED;
    };
    script.commit = [&](sluice_bytes* out) {
        *out = bytes(receipt);
        return SLUICE_OK;
    };
    const auto sink = open_sink_now();
    const Reply begun = sink->begin(batch7);
    receipt = "eight";
    const Reply committed = sink->commit(8);
    receipt = "gone!";
    CHECK(begun.status == Status::already_committed);
    CHECK(begun.receipt == "seven");
    CHECK_FALSE(begun.message.empty());
    CHECK(committed.status == Status::ok);
    CHECK(committed.receipt == "eight");
    CHECK(committed.message.empty());
}

TEST_CASE("a receipt has a bound, and a plugin that passes it is at fault") {
    Script script;
    std::string receipt(SLUICE_RECEIPT_MAX, 'r');
    script.commit = [&](sluice_bytes* out) {
        *out = bytes(receipt);
        return SLUICE_OK;
    };
    script.open = [&](const sluice_config&, sluice_bytes, sluice_bytes* out) {
        *out = bytes(receipt);
        return SLUICE_OK;
    };
    const auto sink = open_sink_now();
    CHECK(sink->commit(7).receipt.size() == SLUICE_RECEIPT_MAX);
    receipt += 'r';
    const Reply reply = sink->commit(8);
    CHECK(reply.status == Status::fatal);
    CHECK(reply.message ==
          "plugin 'scripted' 2.1 commit() gave a receipt of 65537 bytes, and 65536 are "
          "allowed: this is a bug in the plugin");
    CHECK(reply.receipt.empty());

    script.calls.clear();
    const OpenReply opened = open_scripted();
    CHECK(opened.reply.status == Status::fatal);
    CHECK(opened.sink == nullptr);
    CHECK(script.calls == std::vector<std::string>{"open", "close"});  // nothing stays open
}

TEST_CASE("a receipt at NULL with a size is a bug of the plugin") {
    Script script;
    script.commit = [](sluice_bytes* out) {
        *out = {nullptr, 5};
        return SLUICE_OK;
    };
    const auto sink = open_sink_now();
    CHECK(sink->commit(7).status == Status::fatal);
}

TEST_CASE("the last text given to set_error comes with the answer") {
    Script script;
    script.commit = [&](sluice_bytes*) {
        script.set_error("first");
        return script.fails(SLUICE_RETRY, "disk full: make room on /srv");
    };
    const auto sink = open_sink_now();
    const Reply reply = sink->commit(7);
    CHECK(reply.status == Status::retry);
    CHECK(reply.message == "disk full: make room on /srv");
}

TEST_CASE("an error text never leaks into a later answer, nor into ok") {
    Script script;
    const auto sink = open_sink_now();
    script.abort = [&] { return script.fails(SLUICE_OK, "not worth mentioning"); };
    CHECK(sink->abort(7).message.empty());
    script.abort = [] { return SLUICE_RETRY; };
    CHECK(sink->abort(7).message ==
          "plugin 'scripted' 2.1 answered retry to abort() and gave no reason "
          "(set_error() was not called)");
}

TEST_CASE("set_error from another thread, or for another sink, is not taken for this call") {
    Script script;
    const auto sink = open_sink_now();
    script.abort = [&] {
        std::thread([&] { script.set_error("from a thread of the plugin"); }).join();
        return SLUICE_FATAL;
    };
    CHECK(contains(sink->abort(7).message, "gave no reason"));
    const sluice_host* const first = script.host;
    const auto other = open_sink_now();
    script.abort = [&] {
        first->set_error(first, SLUICE_STRING("for the first sink"));
        return SLUICE_FATAL;
    };
    CHECK(contains(other->abort(7).message, "gave no reason"));
}

TEST_CASE("error texts are bounded and fit for a log") {
    Script script;
    const auto sink = open_sink_now();
    script.abort = [&] { return script.fails(SLUICE_FATAL, "line\nline\x1b[31m größer"); };
    CHECK(sink->abort(7).message == "line line [31m größer");
    script.abort = [&] {
        return script.fails(SLUICE_FATAL,
                            "a\xff"
                            "b");
    };
    CHECK(sink->abort(7).message == "a?b");
    script.abort = [&] {
        return script.fails(SLUICE_FATAL, std::string(4095, 'x') + "ü and more");
    };
    CHECK(sink->abort(7).message == std::string(4095, 'x'));  // never half a character
    script.abort = [&] { return script.fails(SLUICE_FATAL, std::string(9000, 'x')); };
    CHECK(sink->abort(7).message.size() == 4096);
}

TEST_CASE(
    "a status that sink.h does not allow is fatal and names the plugin, the status and the call") {
    Script script;
    const auto sink = open_sink_now();
    for (const sluice_status status :
         std::vector<sluice_status>{-1, 5, 31, 32, 99, SLUICE_ALREADY_COMMITTED}) {
        CAPTURE(status);
        script.commit = [=](sluice_bytes*) { return status; };
        const Reply reply = sink->commit(7);
        CHECK(reply.status == Status::fatal);
        CHECK(reply.message ==
              "plugin 'scripted' 2.1 answered " + std::to_string(status) +
                  " to commit(), which sink.h does not allow there: this is a bug in the "
                  "plugin");
    }
    script.abort = [&] { return script.fails(17, "what it said"); };
    CHECK(contains(sink->abort(7).message, "what it said"));
    script.begin = [](const sluice_batch&, sluice_bytes*) { return SLUICE_REJECT; };
    CHECK(sink->begin(batch7).status == Status::fatal);
}

TEST_CASE("ok without a handle is fatal") {
    Script script;
    script.gives_sink = false;
    const OpenReply opened = open_scripted();
    CHECK(opened.reply.status == Status::fatal);
    CHECK(contains(opened.reply.message, "gave no sink"));
    CHECK(opened.sink == nullptr);
    script.gives_sink = true;
    script.gives_writer = false;
    const auto sink = open_sink_now();
    REQUIRE(sink->begin(batch7).status == Status::ok);
    const WriterReply writer = sink->open_writer(range0);
    CHECK(writer.reply.status == Status::fatal);
    CHECK(contains(writer.reply.message, "gave no writer"));
    CHECK(writer.writer == nullptr);
}

TEST_CASE("a sink that cannot be opened is not there, whatever pointer the plugin left") {
    Script script;
    script.open = [&](const sluice_config&, sluice_bytes, sluice_bytes* initial) {
        *initial = bytes("left behind");
        return script.fails(SLUICE_RETRY, "no route");
    };
    const OpenReply opened = open_scripted();
    CHECK(opened.reply.status == Status::retry);
    CHECK(opened.reply.message == "no route");
    CHECK(opened.reply.receipt.empty());
    CHECK(opened.sink == nullptr);
}

TEST_CASE("an exception that leaks out of a plugin ends at the call, as fatal") {
    Script script;
    const auto sink = open_sink_now();
    script.commit = [](sluice_bytes*) -> sluice_status { throw std::runtime_error("oh\nno"); };
    CHECK(sink->commit(7).message ==
          "plugin 'scripted' 2.1 threw an exception out of commit() (oh no): this is a bug in the "
          "plugin");
    script.commit = [](sluice_bytes*) -> sluice_status { throw 7; };
    CHECK(sink->commit(7).status == Status::fatal);
    script.close = [] {
        throw std::runtime_error("close, too");
    };  // and the destructor survives it
}

TEST_CASE("rejected records come sorted by their place") {
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    const std::vector<sluice_record> records(5);
    script.write = rejecting({item(4, "too long"), item(0, ""), item(2)});
    const WriteReply reply = writer->write(records);
    CHECK(reply.status == Status::reject);
    CHECK(reply.reject_kind == SLUICE_REJECT_WHICH);
    CHECK_FALSE(reply.message.empty());
    REQUIRE(reply.rejects.size() == 3);
    CHECK(reply.rejects[0].index == 0);
    CHECK(reply.rejects[0].reason == "the plugin gave no reason");
    CHECK(reply.rejects[1].index == 2);
    CHECK(reply.rejects[2].index == 4);
    CHECK(reply.rejects[2].reason == "too long");
}

TEST_CASE("reject all names no records; a lost batch names some") {
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    const std::vector<sluice_record> records(2);
    script.write = rejecting({}, SLUICE_REJECT_ALL);
    const WriteReply all = writer->write(records);
    CHECK(all.status == Status::reject);
    CHECK(all.reject_kind == SLUICE_REJECT_ALL);
    CHECK(all.rejects.empty());
    script.write = rejecting({item(1)}, SLUICE_REJECT_BATCH_LOST);
    const WriteReply lost = writer->write(records);
    CHECK(lost.reject_kind == SLUICE_REJECT_BATCH_LOST);
    CHECK(lost.rejects.size() == 1);
}

TEST_CASE("rejects that make no sense are fatal, and say which") {
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    const std::vector<sluice_record> records(2);
    const auto refused = [&](auto write) {
        script.write = std::move(write);
        WriteReply reply = writer->write(records);
        CHECK(reply.status == Status::fatal);
        CHECK(reply.rejects.empty());
        CHECK(contains(reply.message, "this is a bug in the plugin"));
        return reply.message;
    };
    CHECK(contains(refused(rejecting({item(2)})), "rejected record 2 of a call with 2"));
    CHECK(contains(refused(rejecting({item(1), item(1)})), "rejected record 1 twice"));
    CHECK(contains(refused(rejecting({})), "rejected records and named none"));
    CHECK(contains(refused(rejecting({item(0)}, 3)), "unknown kind 3"));
    CHECK(contains(refused(rejecting({item(0)}, -1)), "unknown kind -1"));
    CHECK(contains(refused([](const sluice_record*, std::size_t, sluice_rejected* rejected) {
                       rejected->count = SIZE_MAX;
                       static const sluice_reject one{};
                       rejected->items = &one;
                       return SLUICE_REJECT;
                   }),
                   "of 2 records"));
    CHECK(contains(refused([](const sluice_record*, std::size_t, sluice_rejected* rejected) {
                       rejected->count = 1;
                       rejected->items = nullptr;
                       return SLUICE_REJECT;
                   }),
                   "named none"));
}

TEST_CASE("a lost batch names records of earlier calls through refuse(), or none at all") {
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    const std::vector<sluice_record> records(2);
    const auto refusing = [&](std::int64_t offset, std::int32_t kind) {
        script.write = [&script, offset, kind](const auto*, std::size_t, sluice_rejected* rejected) {
            script.host->refuse(script.host, 0, offset, SLUICE_STRING("not a number"));
            rejected->kind = kind;
            return SLUICE_REJECT;
        };
        return writer->write(records);
    };
    const WriteReply lost = refusing(19, SLUICE_REJECT_BATCH_LOST);
    CHECK(lost.status == Status::reject);
    REQUIRE(lost.refused.size() == 1);
    CHECK(lost.refused[0].offset == 19);
    CHECK(lost.refused[0].reason == "not a number");
    CHECK(contains(refusing(20, SLUICE_REJECT_BATCH_LOST).message, "refused offset 20 of range 0, which is not in"));
    CHECK(contains(refusing(12, SLUICE_REJECT_ALL).message, "and kept the batch"));
    script.write = rejecting({}, SLUICE_REJECT_BATCH_LOST);
    const WriteReply for_nothing = writer->write(records);
    CHECK(for_nothing.status == Status::reject);
    CHECK(for_nothing.refused.empty());
}

TEST_CASE("writer_close and commit may refuse records; what is refused outside of such a call is forgotten") {
    Script script;
    const auto sink = open_sink_now();
    const auto refuse = [&] { script.host->refuse(script.host, 0, 10, SLUICE_STRING("late")); };
    auto writer = open_writer_now(*sink);
    script.writer_close = [&](bool) {
        refuse();
        return SLUICE_REJECT;
    };
    const Reply closed = writer->close(true);
    CHECK(closed.status == Status::reject);
    CHECK(closed.refused.size() == 1);
    script.commit = [&](sluice_bytes*) {
        refuse();
        return SLUICE_REJECT;
    };
    CHECK(sink->commit(7).refused.size() == 1);
    script.commit = [&](sluice_bytes*) {
        refuse();
        return script.fails(SLUICE_RETRY, "gone");
    };
    CHECK(sink->commit(7).refused.empty());
    script.begin = [&](const auto&, sluice_bytes*) {
        refuse();
        return SLUICE_OK;
    };
    CHECK(sink->begin(batch7).refused.empty());
}

TEST_CASE("a writer that is destroyed without close is closed with keep = 0, and only once") {
    Script script;
    const auto sink = open_sink_now();
    open_writer_now(*sink).reset();
    CHECK(script.calls.back() == "writer_close 0");
    script.calls.clear();
    {
        const auto writer = open_writer_now(*sink);
        CHECK(writer->close(true).status == Status::ok);
    }
    CHECK(script.calls == std::vector<std::string>{"begin 7", "writer_open 0", "writer_close 1"});
}

TEST_CASE("a sink that is destroyed with a batch begun aborts it before it closes") {
    Script script;
    {
        const auto sink = open_sink_now();
        REQUIRE(sink->begin(batch7).status == Status::ok);
    }
    CHECK(script.calls == std::vector<std::string>{"open", "begin 7", "abort 7", "close"});
}

TEST_CASE("a commit in doubt is not undone by closing: the next begin finds out") {
    Script script;
    script.commit = [](sluice_bytes*) { return SLUICE_RETRY; };
    {
        const auto sink = open_sink_now();
        REQUIRE(sink->begin(batch7).status == Status::ok);
        CHECK(sink->commit(7).status == Status::retry);
    }
    CHECK(script.calls == std::vector<std::string>{"open", "begin 7", "commit 7", "close"});
}

TEST_CASE("an empty write does not reach the plugin") {
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    script.calls.clear();
    CHECK(writer->write({}).status == Status::ok);
    CHECK(script.calls.empty());
}

TEST_CASE("headers are asked of the record's owner, during a write only") {
    struct Owner {
        RecordHandle handle{[](const RecordHandle* self) noexcept -> sluice_headers {
            const auto* const owner = reinterpret_cast<const Owner*>(self);
            return {&owner->header, 1};
        }};
        sluice_header header{SLUICE_STRING("trace"), bytes("a1")};
    };
    const Owner owner;
    Script script;
    const auto sink = open_sink_now();
    const auto writer = open_writer_now(*sink);
    std::vector<sluice_record> records(2);
    records[0].handle = &owner.handle;
    std::size_t with = 0;
    std::size_t without = 9;
    script.write = [&](const sluice_record* given, std::size_t, sluice_rejected*) {
        const sluice_headers found = script.host->headers(script.host, &given[0]);
        with = found.count;
        CHECK(text_of(found.items[0].name) == "trace");
        without = script.host->headers(script.host, &given[1]).count;
        CHECK(script.host->headers(script.host, nullptr).count == 0);
        return SLUICE_OK;
    };
    CHECK(writer->write(records).status == Status::ok);
    CHECK(with == 1);
    CHECK(without == 0);
    script.writer_close = [&](bool) {
        with = script.host->headers(script.host, records.data()).count;
        return SLUICE_OK;
    };
    CHECK(writer->close(true).status == Status::ok);
    CHECK(with == 0);
}

TEST_CASE("stopping() follows the pipeline, from any thread") {
    Script script;
    std::atomic<bool> stopping{false};
    const OpenReply opened = scripted()->open({"p", "c", 0, {}}, {}, stopping);
    CHECK(script.host->stopping(script.host) == 0);
    stopping = true;
    std::thread([&] { CHECK(script.host->stopping(script.host) == 1); }).join();
}

TEST_CASE("check is asked with the settings, and its refusal is a configuration error") {
    Script script;
    script.check = [&](const sluice_config& config) {
        CHECK(text_of(config.pipeline) == "p");
        CHECK(config.cluster_id.size == 0);
        REQUIRE(config.setting_count == 1);
        return text_of(config.settings[0].value) == "good"
                   ? SLUICE_OK
                   : script.fails(SLUICE_FATAL, "path and url exclude each other");
    };
    CHECK(scripted()->check("p", {{"path", "good"}}));
    const auto refused = scripted()->check("p", {{"path", "bad"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::configuration);
    CHECK(refused.error().message == "path and url exclude each other");
    script.check = [](const sluice_config&) { return SLUICE_RETRY; };  // it has nothing to wait for
    CHECK(contains(scripted()->check("p", {}).error().message, "bug in the plugin"));
}

TEST_CASE("the guarantee with some options is what the plugin says of them, and never more than it declares") {
    Script script;
    CHECK(scripted()->guarantee() == Guarantee::idempotent);
    CHECK(scripted()->guarantee_with({}) == Guarantee::idempotent);
    script.guarantee = [](const sluice_config& config) {
        return config.setting_count == 1 ? SLUICE_AT_LEAST_ONCE : SLUICE_IDEMPOTENT;
    };
    CHECK(scripted()->guarantee_with({}) == Guarantee::idempotent);
    CHECK(scripted()->guarantee_with({{"fast", "true"}}) == Guarantee::at_least_once);
    script.guarantee = [](const sluice_config&) { return 7; };
    CHECK(scripted()->guarantee_with({}) == Guarantee::at_least_once);
}

TEST_CASE("a target has the name that the plugin gives it") {
    Script script;
    script.target = [](const sluice_config& config) {
        CHECK(text_of(config.pipeline) == "p");
        CHECK(config.cluster_id.size == 0);
        return config.setting_count == 1 ? text_of(config.settings[0].value) : std::string();
    };
    const auto target = [](const std::string& url) {
        const auto answer = scripted()->target("p", {{"url", url}});
        REQUIRE(answer);
        return *answer;
    };
    CHECK(target("db.example:5432/größe orders") == "db.example:5432/größe orders");
    CHECK(target("").empty());
    CHECK(target(std::string(SLUICE_TARGET_MAX, 'x')).size() == SLUICE_TARGET_MAX);
}

TEST_CASE("a name of a target that nobody can be shown is the plugin's mistake") {
    Script script;
    std::string name;
    script.target = [&](const sluice_config&) { return name; };
    for (const auto& [given, why] : std::vector<std::pair<std::string, std::string>>{
             {std::string(SLUICE_TARGET_MAX + 1, 'x'), "named its target in 1025 bytes, and 1024 are allowed"},
             {std::string("a\0b", 3), "named its target with control characters, or not in UTF-8"},
             {"two\nlines", "named its target with control characters"},
             {"\xff", "not in UTF-8"}}) {
        CAPTURE(why);
        name = given;
        const auto answer = scripted()->target("p", {});
        REQUIRE_FALSE(answer);
        CHECK(answer.error().code == ErrorCode::configuration);
        CHECK(contains(answer.error().message, why));
        CHECK(contains(answer.error().message, "this is a bug in the plugin"));
    }
    script.target = [](const sluice_config&) -> std::string { throw std::runtime_error("leaked"); };
    CHECK(contains(scripted()->target("p", {}).error().message, "threw an exception out of target() (leaked)"));
}

TEST_CASE("statuses and guarantees have the names that people read") {
    CHECK(name_of(Status::already_committed) == "already-committed");
    CHECK(name_of(Status::fatal) == "fatal");
    CHECK(name_of(Guarantee::at_least_once) == "at-least-once");
    CHECK(name_of(Guarantee::idempotent) == "idempotent");
    CHECK(name_of(Guarantee::exactly_once) == "exactly-once");
}

TEST_CASE("log writes one line with the names of pipeline and plugin") {
    Script script;
    const auto sink = open_sink_now();
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    script.host->log(script.host, SLUICE_LOG_DEBUG, SLUICE_STRING("below the level"));
    std::thread([&] {
        script.host->log(script.host, SLUICE_LOG_WARNING, SLUICE_STRING("slow\ntarget"));
    }).join();
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    std::string text(1000, '\0');
    text.resize(
        static_cast<std::size_t>(std::max<ssize_t>(read(ends[0], text.data(), text.size()), 0)));
    close(ends[0]);
    CHECK_FALSE(contains(text, "below the level"));
    CHECK(contains(text, "warning slow target pipeline=p plugin=scripted\n"));
}
