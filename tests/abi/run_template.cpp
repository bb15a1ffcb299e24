// run_template PLUGIN.so FILE: runs two batches through the template and looks at what it wrote.

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/plugin.hpp"

namespace {

using namespace sluice::sink;

sluice_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

int fail(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
}

std::string run_batch(Sink& sink, std::uint64_t id, const std::vector<sluice_record>& records) {
    const Range range{"orders", 0, 0, 0, 2, "p/0/0"};
    if (const Reply reply = sink.begin({id, false, {range}}); reply.status != Status::ok) {
        return "begin: " + reply.message;
    }
    WriterReply opened = sink.open_writer(range);
    if (opened.reply.status != Status::ok) return "open_writer: " + opened.reply.message;
    if (const WriteReply reply = opened.writer->write(records); reply.status != Status::ok) {
        return "write: " + reply.message;
    }
    if (const Reply reply = opened.writer->close(true); reply.status != Status::ok) {
        return "close: " + reply.message;
    }
    const Reply reply = sink.commit(id);
    return reply.status == Status::ok ? "" : "commit: " + reply.message;
}

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count != 3) return fail("usage: run_template PLUGIN.so FILE");
    const std::string file = arguments[2];
    const auto plugin = load_plugin(arguments[1]);
    if (!plugin) return fail(plugin.error().message);
    if (!(*plugin)->ordered() || (*plugin)->options().size() != 1)
        return fail("not the template's table");

    const std::atomic<bool> stopping{false};
    OpenReply refused =
        (*plugin)->open({"p", "cluster", 0, {}}, {{"path", file + "/no/such/directory"}}, stopping);
    if (refused.reply.status != Status::fatal || refused.reply.message.empty()) {
        return fail("a path that cannot be opened was not FATAL");
    }

    OpenReply opened = (*plugin)->open({"p", "cluster", 0, {}}, {{"path", file}}, stopping);
    if (opened.reply.status != Status::ok) return fail("open: " + opened.reply.message);
    sluice_record record{};
    record.value = bytes("one");
    sluice_record null_record{};
    if (const std::string why = run_batch(*opened.sink, 0, {record, null_record}); !why.empty()) {
        return fail(why);
    }
    // What is committed is in the file while the sink is still open.
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (text != "one\n\n") return fail("the file has: " + text);
    return 0;
}
