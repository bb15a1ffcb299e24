#include "daemon/sink/adapter.hpp"

#include <algorithm>
#include <exception>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/base/assert.hpp"
#include "daemon/base/log.hpp"
#include "daemon/sink/host.hpp"

namespace sluice::sink {
namespace {

constexpr unsigned allows(std::initializer_list<int> statuses) {
    unsigned mask = 0;
    for (const int status : statuses)
        mask |= 1U << status;
    return mask;
}
constexpr unsigned ok_or_fatal = allows({SLUICE_OK, SLUICE_FATAL});
constexpr unsigned plain = allows({SLUICE_OK, SLUICE_RETRY, SLUICE_FATAL});
constexpr unsigned of_begin = plain | allows({SLUICE_ALREADY_COMMITTED});
constexpr unsigned rejecting = plain | allows({SLUICE_REJECT});  // write, writer_close, commit

struct Answer {
    Status status = Status::ok;
    std::string message;
    std::vector<Refused> refused{};
};

Answer plugin_bug(const Host& host, const std::string& what) {
    return {Status::fatal, host.title() + ' ' + what + ": this is a bug in the plugin"};
}

Status status_of(sluice_status status) noexcept {
    switch (status) {
        case SLUICE_OK:
            return Status::ok;
        case SLUICE_ALREADY_COMMITTED:
            return Status::already_committed;
        case SLUICE_RETRY:
            return Status::retry;
        case SLUICE_REJECT:
            return Status::reject;
        default:
            return Status::fatal;
    }
}

/// A status that sink.h allows for the function, with a message unless it is ok.
Answer checked(const Host& host, const std::string& function, unsigned allowed,
               sluice_status status, const std::string& error) {
    if (status < 0 || status > SLUICE_FATAL || (allowed >> status & 1U) == 0) {
        return plugin_bug(host, "answered " + std::to_string(status) + " to " + function +
                                    "(), which sink.h does not allow there" +
                                    (error.empty() ? "" : " (its error text: " + error + ')'));
    }
    const Status known = status_of(status);
    if (known == Status::ok || !error.empty()) return {known, known == Status::ok ? "" : error};
    if (known == Status::already_committed) return {known, "the target has this batch already"};
    return {known, host.title() + " answered " + std::string(name_of(known)) + " to " + function +
                       "() and gave no reason (set_error() was not called)"};
}

/// One call into the plugin. C functions throw nothing, and C++ ones must not; where an exception
/// leaks out all the same, it ends here.
template <class Function>
Answer ask(const Host& host, const char* function, unsigned allowed, Call::Kind kind,
           const Function& call_plugin) {
    Call call(host, kind);
    try {
        const sluice_status status = call_plugin();
        Answer answer = checked(host, function, allowed, status, call.error());
        if (answer.status == Status::reject) answer.refused = std::move(call.refused());
        return answer;
    } catch (const std::exception& thrown) {
        return plugin_bug(
            host, std::string("threw an exception out of ") + function + "() (" +
                      clean_text({thrown.what(), std::char_traits<char>::length(thrown.what())}) +
                      ')');
    } catch (...) {
        return plugin_bug(host, std::string("threw an exception out of ") + function + "()");
    }
}

sluice_string raw(const std::string& text) noexcept {
    return {text.data(), text.size()};
}

/// `reply` with the receipt, or a fatal one when the receipt cannot be taken.
Reply with_receipt(const Host& host, const char* function, Answer answer, sluice_bytes receipt) {
    if (answer.status != Status::ok && answer.status != Status::already_committed) {
        return {answer.status, std::move(answer.message), {}};
    }
    if (receipt.data == nullptr && receipt.size != 0) {
        Answer bug = plugin_bug(host, std::string(function) + "() gave a receipt of " +
                                          std::to_string(receipt.size) + " bytes at NULL");
        return {bug.status, std::move(bug.message), {}};
    }
    if (receipt.size > SLUICE_RECEIPT_MAX) {
        Answer bug = plugin_bug(host, std::string(function) + "() gave a receipt of " +
                                          std::to_string(receipt.size) + " bytes, and " +
                                          std::to_string(SLUICE_RECEIPT_MAX) + " are allowed");
        return {bug.status, std::move(bug.message), {}};
    }
    std::string copy;
    if (receipt.data != nullptr) {
        copy.assign(reinterpret_cast<const char*>(receipt.data), receipt.size);
    }
    return {answer.status, std::move(answer.message), std::move(copy)};
}

Reply without_receipt(Answer answer) {
    return {answer.status, std::move(answer.message), {}, std::move(answer.refused)};
}

/// sluice_config over values that live elsewhere, and longer than this.
class ConfigView {
 public:
    ConfigView(const Settings& settings, const std::string& pipeline, const std::string& cluster_id,
               std::uint64_t next_batch_id, std::uint64_t memory_max) {
        for (const auto& [name, value] : settings)
            settings_.push_back({raw(name), raw(value)});
        config_ = {sizeof(sluice_config), static_cast<std::uint32_t>(settings_.size()),
                   settings_.data(),      raw(pipeline),
                   raw(cluster_id),       next_batch_id,
                   memory_max};
    }
    [[nodiscard]] const sluice_config* get() const noexcept { return &config_; }

 private:
    std::vector<sluice_setting> settings_;
    sluice_config config_{};
};

sluice_range raw(const Range& range) noexcept {
    return {raw(range.topic), range.partition, range.index,
            range.from,       range.until,     raw(range.token)};
}

/// What refuse() named, held against the batch: a plugin's bug instead when it is not of it.
Answer checked_refused(const Host& host, const std::vector<Range>& ranges, Answer answer) {
    for (const Refused& refused : answer.refused) {
        if (refused.range_index < ranges.size() && refused.offset >= ranges[refused.range_index].from &&
            refused.offset < ranges[refused.range_index].until) {
            continue;
        }
        return plugin_bug(host, "refused offset " + std::to_string(refused.offset) + " of range " +
                                    std::to_string(refused.range_index) +
                                    ", which is not in the batch");
    }
    return answer;
}

/// The rejects of one write, checked and sorted; a text when the plugin made no sense.
std::optional<std::string> take_rejects(const sluice_rejected& rejected, std::size_t count,
                                        std::vector<Reject>& rejects) {
    if (rejected.kind < SLUICE_REJECT_WHICH || rejected.kind > SLUICE_REJECT_BATCH_LOST) {
        return "rejected records with the unknown kind " + std::to_string(rejected.kind);
    }
    if (rejected.kind == SLUICE_REJECT_ALL) return std::nullopt;  // names none: the host bisects
    if (rejected.count == 0 && rejected.kind == SLUICE_REJECT_BATCH_LOST) return std::nullopt;
    if (rejected.count == 0 || rejected.items == nullptr) return "rejected records and named none";
    if (rejected.count > count) {
        return "rejected " + std::to_string(rejected.count) + " of " + std::to_string(count) +
               " records";
    }
    rejects.reserve(rejected.count);
    for (std::size_t i = 0; i < rejected.count; ++i) {
        const sluice_reject& item = rejected.items[i];
        if (item.index >= count) {
            return "rejected record " + std::to_string(item.index) + " of a call with " +
                   std::to_string(count);
        }
        std::string reason = clean_text(item.reason);
        if (reason.empty()) reason = "the plugin gave no reason";
        rejects.push_back({item.index, std::move(reason)});
    }
    std::sort(rejects.begin(), rejects.end(),
              [](const Reject& a, const Reject& b) { return a.index < b.index; });
    const auto twice =
        std::adjacent_find(rejects.begin(), rejects.end(),
                           [](const Reject& a, const Reject& b) { return a.index == b.index; });
    if (twice != rejects.end()) return "rejected record " + std::to_string(twice->index) + " twice";
    return std::nullopt;
}

class PluginWriter final : public Writer {
 public:
    /// All but `writer` belong to the sink, which outlives its writers; `ranges` are the batch's.
    PluginWriter(const Host& host, const sluice_sink_api& api, const std::vector<Range>& ranges,
                 sluice_writer* writer) noexcept
        : host_(host), api_(api), ranges_(ranges), writer_(writer) {}
    PluginWriter(const PluginWriter&) = delete;
    PluginWriter& operator=(const PluginWriter&) = delete;

    ~PluginWriter() override {
        if (writer_ == nullptr) return;
        // Nobody is left to hear the answer: the batch is aborted, whatever it is.
        const Reply reply = close(false);
        if (reply.status != Status::ok) {
            log::warning("writer did not close cleanly; its batch is aborted",
                         {{"pipeline", host_.pipeline()}, {"reason", reply.message}});
        }
    }

    WriteReply write(std::span<const sluice_record> records) override {
        SLUICE_ASSERT(writer_ != nullptr);
        if (records.empty()) return {};
        sluice_rejected rejected{sizeof(sluice_rejected), SLUICE_REJECT_WHICH, nullptr, 0};
        Answer answer = ask(host_, "writer_write", rejecting, Call::Kind::write, [&] {
            return api_.writer_write(writer_, records.data(), records.size(), &rejected);
        });
        WriteReply reply{Status::reject, {}, rejected.kind, {}, {}};
        if (answer.status == Status::reject) {
            if (const auto wrong = take_rejects(rejected, records.size(), reply.rejects)) {
                answer = plugin_bug(host_, *wrong);
            } else if (!answer.refused.empty() && rejected.kind != SLUICE_REJECT_BATCH_LOST) {
                answer = plugin_bug(host_, "refused records of earlier calls and kept the batch");
            } else {
                answer = checked_refused(host_, ranges_, std::move(answer));
            }
        }
        if (answer.status != Status::reject) {
            return {answer.status, std::move(answer.message), SLUICE_REJECT_WHICH, {}, {}};
        }
        reply.message = std::move(answer.message);
        reply.refused = std::move(answer.refused);
        return reply;
    }

    Reply close(bool keep) override {
        SLUICE_ASSERT(writer_ != nullptr);
        // The plugin frees the writer whatever it answers.
        sluice_writer* const writer = std::exchange(writer_, nullptr);
        return without_receipt(checked_refused(
            host_, ranges_, ask(host_, "writer_close", rejecting, Call::Kind::settle, [&] {
                return api_.writer_close(writer, keep ? 1 : 0);
            })));
    }

 private:
    const Host& host_;
    const sluice_sink_api& api_;
    const std::vector<Range>& ranges_;
    sluice_writer* writer_;
};

class PluginSink final : public Sink {
 public:
    PluginSink(std::unique_ptr<Host> host, const sluice_sink_api& api, sluice_sink* sink) noexcept
        : host_(std::move(host)), api_(api), sink_(sink) {}
    PluginSink(const PluginSink&) = delete;
    PluginSink& operator=(const PluginSink&) = delete;

    ~PluginSink() override {
        // close() may count on no batch being begun.
        if (is_begun_) {
            const Reply reply = abort(batch_.id);
            if (reply.status != Status::ok) {
                log::warning("batch was not aborted cleanly; the next start takes it up again",
                             {{"pipeline", host_->pipeline()}, {"reason", reply.message}});
            }
        }
        const Answer answer = ask(*host_, "close", ok_or_fatal, Call::Kind::plain, [&] {
            api_.close(sink_);
            return SLUICE_OK;
        });
        if (answer.status != Status::ok) {
            log::error("sink did not close cleanly",
                       {{"pipeline", host_->pipeline()}, {"reason", answer.message}});
        }
    }

    Reply begin(const Batch& batch) override {
        std::vector<sluice_range> ranges;
        ranges.reserve(batch.ranges.size());
        for (const Range& range : batch.ranges)
            ranges.push_back(raw(range));
        const sluice_batch request{sizeof(sluice_batch),
                                   static_cast<std::uint32_t>(ranges.size()),
                                   batch.id,
                                   ranges.data(),
                                   batch.is_rerun,
                                   0};
        sluice_bytes receipt{nullptr, 0};
        Answer answer = ask(*host_, "begin", of_begin, Call::Kind::plain,
                            [&] { return api_.begin(sink_, &request, &receipt); });
        if (answer.status == Status::ok) {
            batch_ = batch;
            is_begun_ = true;
        }
        if (answer.status != Status::already_committed) return without_receipt(std::move(answer));
        return with_receipt(*host_, "begin", std::move(answer), receipt);
    }

    WriterReply open_writer(const Range& range) override {
        const sluice_range request = raw(range);
        sluice_writer* writer = nullptr;
        Answer answer = ask(*host_, "writer_open", plain, Call::Kind::plain,
                            [&] { return api_.writer_open(sink_, &request, &writer); });
        if (answer.status == Status::ok && writer == nullptr) {
            answer = plugin_bug(*host_, "answered ok to writer_open() and gave no writer");
        }
        if (answer.status != Status::ok) return {without_receipt(std::move(answer)), nullptr};
        return {Reply{}, std::make_unique<PluginWriter>(*host_, api_, batch_.ranges, writer)};
    }

    Reply commit(std::uint64_t batch_id) override {
        is_begun_ = false;
        sluice_bytes receipt{nullptr, 0};
        Answer answer = checked_refused(
            *host_, batch_.ranges, ask(*host_, "commit", rejecting, Call::Kind::settle, [&] {
                return api_.commit(sink_, batch_id, &receipt);
            }));
        if (answer.status == Status::reject) return without_receipt(std::move(answer));
        return with_receipt(*host_, "commit", std::move(answer), receipt);
    }

    Reply abort(std::uint64_t batch_id) override {
        is_begun_ = false;
        return without_receipt(ask(*host_, "abort", plain, Call::Kind::plain,
                                   [&] { return api_.abort(sink_, batch_id); }));
    }

 private:
    std::unique_ptr<Host> host_;
    const sluice_sink_api api_;
    sluice_sink* sink_;
    Batch batch_;            ///< the last one begun
    bool is_begun_ = false;  ///< and neither committed nor aborted yet
};

}  // namespace

Result<void> check_settings(const Descriptor& plugin, const std::string& pipeline,
                            const Settings& settings) {
    if (plugin.api.check == nullptr) return {};
    static const std::atomic<bool> never_stopping{false};
    const Host host(plugin.name, plugin.version, pipeline, never_stopping);
    const std::string no_cluster;
    const ConfigView config(settings, pipeline, no_cluster, 0, 0);
    Answer answer = ask(host, "check", ok_or_fatal, Call::Kind::plain,
                        [&] { return plugin.api.check(host.table(), config.get()); });
    if (answer.status == Status::ok) return {};
    return Error{ErrorCode::configuration, std::move(answer.message)};
}

Guarantee guarantee_with(const Descriptor& plugin, const Settings& settings) {
    if (plugin.api.guarantee == nullptr) return plugin.guarantee;
    const std::string nothing;
    const ConfigView config(settings, nothing, nothing, 0, 0);
    switch (plugin.api.guarantee(config.get())) {
        case SLUICE_EXACTLY_ONCE: return plugin.guarantee;
        case SLUICE_IDEMPOTENT: return std::min(plugin.guarantee, Guarantee::idempotent);
        default: return Guarantee::at_least_once;
    }
}

Result<std::string> target_with(const Descriptor& plugin, const std::string& pipeline, const Settings& settings) {
    std::string name;
    if (plugin.api.target == nullptr) return name;
    static const std::atomic<bool> never_stopping{false};
    const Host host(plugin.name, plugin.version, pipeline, never_stopping);
    const std::string no_cluster;
    const ConfigView config(settings, pipeline, no_cluster, 0, 0);
    name.resize(SLUICE_TARGET_MAX);
    std::size_t size = 0;
    Answer answer = ask(host, "target", ok_or_fatal, Call::Kind::plain, [&] {
        size = plugin.api.target(config.get(), name.data(), name.size());
        return SLUICE_OK;
    });
    if (answer.status == Status::ok && size > name.size()) {
        answer = plugin_bug(host, "named its target in " + std::to_string(size) + " bytes, and " +
                                      std::to_string(SLUICE_TARGET_MAX) + " are allowed");
    }
    if (answer.status != Status::ok) return Error{ErrorCode::configuration, std::move(answer.message)};
    name.resize(size);
    if (clean_text(raw(name)) != name) {
        answer = plugin_bug(host, "named its target with control characters, or not in UTF-8");
        return Error{ErrorCode::configuration, std::move(answer.message)};
    }
    return name;
}

OpenReply open_sink(const Descriptor& plugin, const SinkContext& context, const Settings& settings,
                    const std::atomic<bool>& stopping) {
    auto host = std::make_unique<Host>(plugin.name, plugin.version, context.pipeline, stopping,
                                       context.memory_held);
    const ConfigView config(settings, context.pipeline, context.cluster_id, context.next_batch_id,
                            context.memory_max);
    sluice_bytes receipt{nullptr, 0};
    if (context.receipt) {
        receipt = {reinterpret_cast<const std::uint8_t*>(context.receipt->data()),
                   context.receipt->size()};
    }
    sluice_sink* raw_sink = nullptr;
    sluice_bytes initial{nullptr, 0};
    Answer answer = ask(*host, "open", plain, Call::Kind::plain, [&] {
        return plugin.api.open(host->table(), config.get(), receipt, &raw_sink, &initial);
    });
    if (answer.status == Status::ok && raw_sink == nullptr) {
        answer = plugin_bug(*host, "answered ok to open() and gave no sink");
    }
    if (answer.status != Status::ok) return {without_receipt(std::move(answer)), nullptr};
    const Host& host_now = *host;
    auto sink = std::make_unique<PluginSink>(std::move(host), plugin.api, raw_sink);
    Reply reply = with_receipt(host_now, "open", std::move(answer), initial);
    if (reply.status != Status::ok) sink.reset();  // closes what was opened
    return {std::move(reply), std::move(sink)};
}

}  // namespace sluice::sink
