#pragma once
// Drives a real plugin, loaded as the daemon loads it, for the tests of plugins.

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/sink/plugin.hpp"

namespace sluice::sink::testing {

inline std::shared_ptr<const Plugin> load(const char* file) {
    auto plugin = load_plugin(file);
    REQUIRE_MESSAGE(plugin.has_value(), plugin.error().message);
    return *plugin;
}

/// The plugin's defaults (as they stand in YAML: for strings, numbers and choices), and `more`.
inline Settings settings_of(const Plugin& plugin, const Settings& more = {}) {
    Settings settings = more;
    for (const Option& option : plugin.options()) {
        if (option.default_value) settings.emplace(option.name, *option.default_value);
    }
    return settings;
}

/// A record of orders-3 that borrows `value`; offset 7, at 1000 ms.
inline sluice_record record_of(std::string_view value, std::string_view key = "k") {
    const auto bytes = [](std::string_view text) {
        return sluice_bytes{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
    };
    return {bytes(key), bytes(value), SLUICE_STRING("orders"), 7, 1000, 3, SLUICE_TIMESTAMP_CREATE,
            nullptr};
}

/// An open sink with one batch of one range at a time.
class Driver {
 public:
    Driver(const Plugin& plugin, const Settings& settings) {
        OpenReply opened = plugin.open({"p", "cluster", 0, {}}, settings, stopping);
        REQUIRE_MESSAGE(opened.reply.status == Status::ok, opened.reply.message);
        sink_ = std::move(opened.sink);
    }

    void begin() {
        const Range range{"orders", 3, 0, 0, 100, "p/0/0"};
        REQUIRE(sink_->begin({id_, false, {range}}).status == Status::ok);
        WriterReply opened = sink_->open_writer(range);
        REQUIRE(opened.reply.status == Status::ok);
        writer_ = std::move(opened.writer);
    }
    WriteReply write(const std::vector<sluice_record>& records) { return writer_->write(records); }
    Reply commit() {
        if (writer_) REQUIRE(writer_->close(true).status == Status::ok);
        writer_.reset();
        Reply reply = sink_->commit(id_);
        if (reply.status == Status::ok) ++id_;
        return reply;
    }
    Reply abort() {
        writer_.reset();
        return sink_->abort(id_);
    }

    std::atomic<bool> stopping{false};

 private:
    std::unique_ptr<Sink> sink_;
    std::unique_ptr<Writer> writer_;  ///< destroyed before its sink
    std::uint64_t id_ = 0;
};

}  // namespace sluice::sink::testing
