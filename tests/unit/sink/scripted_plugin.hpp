#pragma once
// A plugin table in this process whose every call does what the test says.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/plugin.hpp"
#include "daemon/sink/table.hpp"
#include "sluice/sink.h"

namespace sluice::sink::testing {

/// One per test: the C functions find it through a global, since they have no other way.
struct Script {
    Script() { current = this; }
    ~Script() { current = nullptr; }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;

    std::function<sluice_status(const sluice_config&)> check = [](const auto&) {
        return SLUICE_OK;
    };
    std::function<sluice_status(const sluice_config&, sluice_bytes, sluice_bytes*)> open =
        [](const auto&, sluice_bytes, sluice_bytes*) { return SLUICE_OK; };
    std::function<sluice_status(const sluice_batch&, sluice_bytes*)> begin =
        [](const auto&, sluice_bytes*) { return SLUICE_OK; };
    std::function<sluice_status()> abort = [] { return SLUICE_OK; };
    std::function<sluice_status(const sluice_range&)> writer_open = [](const auto&) {
        return SLUICE_OK;
    };
    std::function<sluice_status(const sluice_record*, std::size_t, sluice_rejected*)> write =
        [](const sluice_record*, std::size_t, sluice_rejected*) { return SLUICE_OK; };
    std::function<sluice_status(bool)> writer_close = [](bool) { return SLUICE_OK; };
    std::function<sluice_status(sluice_bytes*)> commit = [](sluice_bytes*) { return SLUICE_OK; };
    std::function<void()> close = [] {};
    std::function<std::int32_t(const sluice_config&)> guarantee = [](const auto&) { return SLUICE_EXACTLY_ONCE; };
    std::function<std::string(const sluice_config&)> target = [](const auto&) { return std::string(); };
    bool gives_sink = true;
    bool gives_writer = true;

    const sluice_host* host = nullptr;  ///< of the newest check() or open()
    std::vector<std::string> calls;     ///< "open", "begin 7" …

    void set_error(std::string_view text) const {
        host->set_error(host, {text.data(), text.size()});
    }
    /// What set_error() does, and then the status: the usual end of a plugin's call.
    sluice_status fails(sluice_status status, std::string_view text) const {
        set_error(text);
        return status;
    }

    static inline Script* current = nullptr;
};

inline const sluice_sink_api& scripted_api() {
    static int handle = 0;
    static const sluice_sink_api api = {
        sizeof(sluice_sink_api),
        0,
        [](const sluice_host* host, const sluice_config* config) -> sluice_status {
            Script::current->host = host;
            Script::current->calls.emplace_back("check");
            return Script::current->check(*config);
        },
        [](const sluice_host* host, const sluice_config* config, sluice_bytes receipt,
           sluice_sink** sink, sluice_bytes* initial) -> sluice_status {
            Script& script = *Script::current;
            script.host = host;
            script.calls.emplace_back("open");
            const sluice_status status = script.open(*config, receipt, initial);
            if (script.gives_sink) *sink = reinterpret_cast<sluice_sink*>(&handle);
            return status;
        },
        [](sluice_sink*) {
            Script::current->calls.emplace_back("close");
            Script::current->close();
        },
        [](sluice_sink*, const sluice_batch* batch, sluice_bytes* receipt) -> sluice_status {
            Script::current->calls.push_back("begin " + std::to_string(batch->id));
            return Script::current->begin(*batch, receipt);
        },
        [](sluice_sink*, std::uint64_t id) -> sluice_status {
            Script::current->calls.push_back("abort " + std::to_string(id));
            return Script::current->abort();
        },
        [](sluice_sink*, const sluice_range* range, sluice_writer** writer) -> sluice_status {
            Script& script = *Script::current;
            script.calls.push_back("writer_open " + std::to_string(range->index));
            const sluice_status status = script.writer_open(*range);
            if (script.gives_writer) *writer = reinterpret_cast<sluice_writer*>(&handle);
            return status;
        },
        [](sluice_writer*, const sluice_record* records, std::size_t count,
           sluice_rejected* rejected) -> sluice_status {
            Script::current->calls.push_back("write " + std::to_string(count));
            return Script::current->write(records, count, rejected);
        },
        [](sluice_writer*, std::int32_t keep) -> sluice_status {
            Script::current->calls.push_back("writer_close " + std::to_string(keep));
            return Script::current->writer_close(keep != 0);
        },
        [](sluice_sink*, std::uint64_t id, sluice_bytes* receipt) -> sluice_status {
            Script::current->calls.push_back("commit " + std::to_string(id));
            return Script::current->commit(receipt);
        },
        [](const sluice_config* config) -> std::int32_t { return Script::current->guarantee(*config); },
        [](const sluice_config* config, char* buffer, std::size_t capacity) -> std::size_t {
            const std::string name = Script::current->target(*config);
            std::copy_n(name.data(), std::min(name.size(), capacity), buffer);
            return name.size();
        }};
    return api;
}

inline const sluice_sink_plugin& scripted_table() {
    static const sluice_sink_plugin table = {
        sizeof(sluice_sink_plugin), SLUICE_SINK_ABI,   SLUICE_STRING("scripted"),
        SLUICE_STRING("2.1"),       SLUICE_STRING(""), SLUICE_IDEMPOTENT,
        SLUICE_SINK_ORDERED,        nullptr,           0,
        sizeof(sluice_option),      &scripted_api()};
    return table;
}

inline sluice_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace sluice::sink::testing
