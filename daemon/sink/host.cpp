#include "daemon/sink/host.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/log.hpp"
#include "daemon/base/secrets.hpp"
#include "daemon/base/text.hpp"
#include "daemon/sink/record.hpp"

namespace sluice::sink {
namespace {

thread_local Call* g_current = nullptr;

Host* self_of(const sluice_host* host) noexcept {
    return host == nullptr ? nullptr : static_cast<Host*>(host->context);
}

log::Level level_of(std::int32_t level) noexcept {
    switch (level) {
        case SLUICE_LOG_DEBUG:
            return log::Level::debug;
        case SLUICE_LOG_INFO:
            return log::Level::info;
        case SLUICE_LOG_WARNING:
            return log::Level::warning;
        default:
            return level < SLUICE_LOG_DEBUG ? log::Level::debug : log::Level::error;
    }
}

bool is_continuation(char c) noexcept {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

std::string clean_text(sluice_string text) {
    if (text.data == nullptr) return {};
    std::size_t size = std::min(text.size, plugin_text_bytes_max);
    // A cut falls between characters, never into one.
    if (size < text.size) {
        for (int i = 0; i < 3 && size > 0 && is_continuation(text.data[size]); ++i)
            --size;
    }
    std::string clean(text.data, size);
    const bool valid = is_valid_utf8(clean);
    for (char& c : clean) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = ' ';
        if (byte >= 0x80 && !valid) c = '?';
    }
    return clean;
}

Host::Host(std::string plugin, const std::string& version, std::string pipeline,
           const std::atomic<bool>& stopping, std::atomic<std::uint64_t>* memory_held)
    : plugin_(std::move(plugin)),
      pipeline_(std::move(pipeline)),
      title_("plugin '" + plugin_ + "' " + version),
      stopping_(stopping),
      memory_held_(memory_held),
      table_{sizeof(sluice_host), 0, this, &Host::log, &Host::set_error, &Host::headers,
             &Host::stopping, &Host::refuse, &Host::memory_held} {}

Host::~Host() {
    if (memory_held_ != nullptr) *memory_held_ = 0;
}

// The functions below are called by foreign code: nothing may be thrown into it. What can go wrong
// is memory; then the line or the text is lost, and the call's status still says what happened.

void Host::log(const sluice_host* host, std::int32_t level, sluice_string message) noexcept {
    const Host* const self = self_of(host);
    if (self == nullptr) return;
    try {
        log::write(level_of(level), secrets::redacted(clean_text(message)),
                   {{"pipeline", self->pipeline_}, {"plugin", self->plugin_}});
    } catch (...) {
    }
}

void Host::set_error(const sluice_host* host, sluice_string message) noexcept {
    const Host* const self = self_of(host);
    if (self == nullptr) return;
    try {
        if (g_current == nullptr || g_current->host_ != self) return self->misused("set_error");
        g_current->error_ = secrets::redacted(clean_text(message));
    } catch (...) {
    }
}

sluice_headers Host::headers(const sluice_host* host, const sluice_record* record) noexcept {
    const Host* const self = self_of(host);
    if (self == nullptr || record == nullptr || record->handle == nullptr) return {nullptr, 0};
    if (g_current == nullptr || g_current->host_ != self || g_current->kind_ != Call::Kind::write) {
        try {
            self->misused("headers");
        } catch (...) {
        }
        return {nullptr, 0};
    }
    const auto* const handle = static_cast<const RecordHandle*>(record->handle);
    return handle->headers(handle);
}

std::int32_t Host::stopping(const sluice_host* host) noexcept {
    const Host* const self = self_of(host);
    return self != nullptr && self->stopping_.load(std::memory_order_relaxed) ? 1 : 0;
}

void Host::refuse(const sluice_host* host, std::uint32_t range_index, std::int64_t offset,
                  sluice_string reason) noexcept {
    const Host* const self = self_of(host);
    if (self == nullptr) return;
    try {
        if (g_current == nullptr || g_current->host_ != self || g_current->kind_ == Call::Kind::plain) {
            return self->misused("refuse");
        }
        g_current->refused_.push_back({range_index, offset, secrets::redacted(clean_text(reason))});
    } catch (...) {
        g_current->refused_.clear();  // out of memory: then the batch is run again as it is
    }
}

void Host::memory_held(const sluice_host* host, std::uint64_t bytes) noexcept {
    const Host* const self = self_of(host);
    if (self != nullptr && self->memory_held_ != nullptr) {
        self->memory_held_->store(bytes, std::memory_order_relaxed);
    }
}

void Host::misused(std::string_view function) const {
    log::warning("plugin called a host function outside of a call that allows it",
                 {{"pipeline", pipeline_}, {"plugin", plugin_}, {"function", function}});
}

Call::Call(const Host& host, Kind kind) noexcept : host_(&host), kind_(kind), outer_(g_current) {
    g_current = this;
}

Call::~Call() {
    g_current = outer_;
}

}  // namespace sluice::sink
