#pragma once
// The daemon's side of the ABI: the sluice_host table that one sink is given, and the bookkeeping
// of the call that runs just now. Internal to sink/.

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sink/sink.hpp"
#include "sluice/sink.h"

namespace sluice::sink {

/// The longest text taken from a plugin; the rest is cut off.
inline constexpr std::size_t plugin_text_bytes_max = 4096;

/// A plugin's text made fit for logs and status: cut to plugin_text_bytes_max, control characters
/// become spaces, what is no UTF-8 becomes '?'.
std::string clean_text(sluice_string text);

/// One sink's sluice_host. Its address goes to the plugin, so it neither moves nor dies before the
/// sink is closed. Safe for concurrent calls.
class Host {
 public:
    /// `plugin` and `version` name the culprit in messages; `stopping` and `memory_held` outlive this.
    /// memory_held() is noted there, if anywhere, until this dies.
    Host(std::string plugin, const std::string& version, std::string pipeline,
         const std::atomic<bool>& stopping, std::atomic<std::uint64_t>* memory_held = nullptr);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] const sluice_host* table() const noexcept { return &table_; }
    [[nodiscard]] const std::string& pipeline() const noexcept { return pipeline_; }
    /// "plugin 'file' 0.1.0"
    [[nodiscard]] const std::string& title() const noexcept { return title_; }

 private:
    static void log(const sluice_host* host, std::int32_t level, sluice_string message) noexcept;
    static void set_error(const sluice_host* host, sluice_string message) noexcept;
    static sluice_headers headers(const sluice_host* host, const sluice_record* record) noexcept;
    static std::int32_t stopping(const sluice_host* host) noexcept;
    static void refuse(const sluice_host* host, std::uint32_t range_index, std::int64_t offset,
                       sluice_string reason) noexcept;
    static void memory_held(const sluice_host* host, std::uint64_t bytes) noexcept;
    /// A host function was called where sink.h forbids it: one warning in the log.
    void misused(std::string_view function) const;

    std::string plugin_;
    std::string pipeline_;
    std::string title_;
    const std::atomic<bool>& stopping_;
    std::atomic<std::uint64_t>* memory_held_;
    sluice_host table_;
};

/// The call into a plugin that runs on this thread, for as long as this object lives: where
/// set_error() and refuse() leave what they were told, and what allows headers() and refuse().
class Call {
 public:
    enum class Kind { plain, write, settle };  ///< settle: writer_close and commit

    explicit Call(const Host& host, Kind kind = Kind::plain) noexcept;
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    /// The last text given to set_error() in this call.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    /// Everything given to refuse() in this call, as it came.
    [[nodiscard]] std::vector<Refused>& refused() noexcept { return refused_; }

 private:
    friend class Host;
    const Host* host_;
    Kind kind_;
    Call* outer_;  ///< a sink that (legally) is called from inside another one's call
    std::string error_;
    std::vector<Refused> refused_;
};

}  // namespace sluice::sink
