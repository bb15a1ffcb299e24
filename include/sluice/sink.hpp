// sluice/sink.hpp: the sink ABI (sink.h) for C++17 and later. Only the standard library is used.
//
// A plugin derives from Sink and Writer and ends with one macro:
//
//   class MyWriter : public sluice::Writer {
//       sluice::Status write(sluice::Records records) override { for (auto record : records) …; return {}; }
//       sluice::Status close(bool keep) override { return {}; }
//   };
//   class MySink : public sluice::Sink {
//    public:
//       MySink(sluice::Host host, const sluice::Config& config, std::optional<std::string_view> receipt);
//       sluice::Status begin(const sluice::Batch& batch) override;
//       std::unique_ptr<sluice::Writer> open_writer(const sluice::Range& range) override;
//       sluice::Status commit(std::uint64_t batch_id) override { …; return sluice::Status::ok(receipt); }
//       sluice::Status abort(std::uint64_t batch_id) override;
//   };
//   constexpr sluice_option options[] = {
//       sluice::option("url", SLUICE_OPTION_STRING, "Where the records go.").required(),
//       sluice::option("timeout", SLUICE_OPTION_DURATION, "Longest wait for an answer.").by_default("5s")};
//   SLUICE_SINK_PLUGIN(MySink, sluice::describe("my_sink", "1.0", "Sends records to my service.")
//                                  .idempotent().options(options))
//
// Errors. Every call either returns a Status or throws; nothing crosses the C boundary. A thrown
// sluice::Retry is RETRY, any other exception is FATAL, and what() becomes the error text. Write it
// for a person, with the remedy. Destructors must not throw.
//
// Lifetimes. Everything called a view here (Records, Record, Range, Batch, Config, Settings, and each
// string_view they hand out) is valid during the call it was passed to. Host may be kept as long as
// the sink lives. Threads: as sink.h says; a Sink needs a mutex only for what its writers share.
#ifndef SLUICE_SINK_HPP
#define SLUICE_SINK_HPP

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "sluice/sink.h"

namespace sluice {
inline namespace sink_v1 {  // own mangled names, so that no host's type can be taken for one of these

// ---- outcomes -------------------------------------------------------------------------------------

/// Thrown: the call may work later, and nothing of it was kept.
class Retry : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// One refused record: its place in the Records of the call, and why.
struct Rejection {
    std::size_t index = 0;
    std::string reason;
};

/// What a call answers. A default-made Status is OK.
class [[nodiscard]] Status {
 public:
    Status() noexcept = default;

    static Status ok() noexcept { return {}; }
    /// commit(): done, and this receipt comes back at the next open.
    static Status ok(std::string receipt) { return {SLUICE_OK, std::move(receipt)}; }
    /// begin(): the batch is in the target, whole.
    static Status already_committed(std::string receipt) {
        return {SLUICE_ALREADY_COMMITTED, std::move(receipt)};
    }
    static Status retry(std::string why) { return {SLUICE_RETRY, std::move(why)}; }
    static Status fatal(std::string why) { return {SLUICE_FATAL, std::move(why)}; }

    /// write(): these were refused, all others of the call were kept.
    static Status reject(std::vector<Rejection> which) {
        return {SLUICE_REJECT_WHICH, std::move(which), "records were rejected"};
    }
    /// write(): nothing was kept; the host bisects to find the bad ones.
    static Status reject_all(std::string why) { return {SLUICE_REJECT_ALL, {}, std::move(why)}; }
    /// write(): the whole batch is lost; it is run again without these.
    static Status batch_lost(std::vector<Rejection> which) {
        return {SLUICE_REJECT_BATCH_LOST, std::move(which), "the batch was lost"};
    }
    /// write(), close(), commit(): the whole batch is lost; it is run again without the records that
    /// were named with Host::refuse() in the same call, or after back-off when none was.
    static Status batch_lost(std::string why) {
        return {SLUICE_REJECT_BATCH_LOST, {}, std::move(why)};
    }

    [[nodiscard]] sluice_status code() const noexcept { return code_; }
    [[nodiscard]] bool is_ok() const noexcept { return code_ == SLUICE_OK; }
    /// The receipt (OK, ALREADY_COMMITTED) or the error text.
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] std::int32_t reject_kind() const noexcept { return kind_; }
    [[nodiscard]] const std::vector<Rejection>& rejections() const noexcept { return rejections_; }
    /// Whether a receipt was given, be it an empty one.
    [[nodiscard]] bool has_receipt() const noexcept { return has_receipt_; }

 private:
    Status(sluice_status code, std::string text)
        : code_(code),
          has_receipt_(code == SLUICE_OK || code == SLUICE_ALREADY_COMMITTED),
          text_(std::move(text)) {}
    Status(std::int32_t kind, std::vector<Rejection> which, std::string text)
        : code_(SLUICE_REJECT), kind_(kind), text_(std::move(text)), rejections_(std::move(which)) {}

    sluice_status code_ = SLUICE_OK;
    std::int32_t kind_ = SLUICE_REJECT_WHICH;
    bool has_receipt_ = false;
    std::string text_;
    std::vector<Rejection> rejections_;
};

// ---- views ----------------------------------------------------------------------------------------

namespace detail {

inline std::string_view view(sluice_string text) noexcept {
    return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}
inline sluice_string raw(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// nullopt is Kafka's null. `char` may alias anything, so the cast is allowed.
inline std::optional<std::string_view> view(sluice_bytes bytes) noexcept {
    if (bytes.data == nullptr) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(bytes.data), bytes.size);
}
inline sluice_bytes raw_bytes(const std::string& text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace detail

/// An array of the ABI seen as Items, made one at a time as they are looked at; nothing is copied.
template <class Item, class Raw>
class View {
 public:
    class Iterator {
     public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Item;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Item;

        explicit Iterator(const Raw* at) noexcept : at_(at) {}
        Item operator*() const noexcept { return Item(*at_); }
        Iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        Iterator operator++(int) noexcept { return Iterator(at_++); }
        friend bool operator==(Iterator a, Iterator b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(Iterator a, Iterator b) noexcept { return a.at_ != b.at_; }

     private:
        const Raw* at_;
    };

    View(const Raw* data, std::size_t size) noexcept : data_(data), size_(size) {}
    [[nodiscard]] Iterator begin() const noexcept { return Iterator(data_); }
    [[nodiscard]] Iterator end() const noexcept {
        return Iterator(size_ == 0 ? data_ : data_ + size_);
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] Item operator[](std::size_t index) const noexcept { return Item(data_[index]); }
    [[nodiscard]] const Raw* data() const noexcept { return data_; }

 private:
    const Raw* data_;
    std::size_t size_;
};

struct Header {
    explicit Header(const sluice_header& header) noexcept
        : name(detail::view(header.name)), value(detail::view(header.value)) {}
    std::string_view name;
    std::optional<std::string_view> value;  ///< nullopt is Kafka's null
};
using Headers = View<Header, sluice_header>;

/// One Kafka record; two words wide, pass it by value.
class Record {
 public:
    explicit Record(const sluice_record& record) noexcept : record_(&record) {}
    /// nullopt is Kafka's null, which is not the same as empty.
    [[nodiscard]] std::optional<std::string_view> key() const noexcept {
        return detail::view(record_->key);
    }
    [[nodiscard]] std::optional<std::string_view> value() const noexcept {
        return detail::view(record_->value);
    }
    [[nodiscard]] std::string_view topic() const noexcept { return detail::view(record_->topic); }
    [[nodiscard]] std::int32_t partition() const noexcept { return record_->partition; }
    [[nodiscard]] std::int64_t offset() const noexcept { return record_->offset; }
    /// Since 1970; -1 when there is none.
    [[nodiscard]] std::int64_t timestamp_ms() const noexcept { return record_->timestamp_ms; }
    /// SLUICE_TIMESTAMP_NONE, _CREATE or _LOG_APPEND.
    [[nodiscard]] std::int32_t timestamp_type() const noexcept { return record_->timestamp_type; }
    [[nodiscard]] const sluice_record& raw() const noexcept { return *record_; }

 private:
    const sluice_record* record_;
};
using Records = View<Record, sluice_record>;

/// Offsets [from, until) of one partition.
struct Range {
    explicit Range(const sluice_range& range) noexcept
        : topic(detail::view(range.topic)),
          partition(range.partition),
          index(range.index),
          from(range.from),
          until(range.until),
          token(detail::view(range.token)) {}
    std::string_view topic;
    std::int32_t partition;
    std::uint32_t index;  ///< place in the batch, from 0
    std::int64_t from;
    std::int64_t until;
    std::string_view token;  ///< "pipeline/batch/range": the same after a crash, never used again
};
using Ranges = View<Range, sluice_range>;

struct Batch {
    explicit Batch(const sluice_batch& batch) noexcept
        : id(batch.id),
          is_rerun(batch.is_rerun != 0),
          ranges(batch.ranges, batch.range_count) {}
    std::uint64_t id;  ///< ascending, never used twice for other ranges
    bool is_rerun;     ///< may have been begun before, by this process or by one that died
    Ranges ranges;
};

// ---- host and configuration -----------------------------------------------------------------------

/// What the daemon offers. A pointer in size; keep a copy as long as the sink lives.
class Host {
 public:
    explicit Host(const sluice_host* host) noexcept : host_(host) {}

    /// One line in the daemon's log, with the pipeline's name. `level` is SLUICE_LOG_…. [any]
    void log(std::int32_t level, std::string_view message) const noexcept {
        if (has(&sluice_host::log)) host_->log(host_, level, detail::raw(message));
    }
    void debug(std::string_view message) const noexcept { log(SLUICE_LOG_DEBUG, message); }
    void info(std::string_view message) const noexcept { log(SLUICE_LOG_INFO, message); }
    void warning(std::string_view message) const noexcept { log(SLUICE_LOG_WARNING, message); }
    void error(std::string_view message) const noexcept { log(SLUICE_LOG_ERROR, message); }

    /// The headers of a record of the running write(), parsed on demand. Valid until it returns.
    [[nodiscard]] Headers headers(Record record) const noexcept {
        if (!has(&sluice_host::headers)) return {nullptr, 0};
        const sluice_headers found = host_->headers(host_, &record.raw());
        return {found.items, found.count};
    }

    /// True once the pipeline is being stopped: a long wait should end with Retry. [any]
    [[nodiscard]] bool stopping() const noexcept {
        return has(&sluice_host::stopping) && host_->stopping(host_) != 0;
    }

    /// Names a record of the begun batch that the target refused after it had been taken; for a
    /// write(), close() or commit() that answers Status::batch_lost(). `range_index` is Range::index.
    void refuse(std::uint32_t range_index, std::int64_t offset, std::string_view reason) const noexcept {
        if (has(&sluice_host::refuse)) host_->refuse(host_, range_index, offset, detail::raw(reason));
    }

    /// How much the sink holds just now of what Config::memory_max bounds; shown by `sluice status`. [any]
    void memory_held(std::uint64_t bytes) const noexcept {
        if (has(&sluice_host::memory_held)) host_->memory_held(host_, bytes);
    }

    void set_error(std::string_view message) const noexcept {
        if (has(&sluice_host::set_error)) host_->set_error(host_, detail::raw(message));
    }

    [[nodiscard]] const sluice_host* raw() const noexcept { return host_; }

 private:
    /// A field of a table is read only when struct_size covers it and it is not NULL.
    template <class Function>
    [[nodiscard]] bool has(Function sluice_host::* member) const noexcept {
        const auto* begin = reinterpret_cast<const char*>(host_);
        const auto* field = reinterpret_cast<const char*>(&(host_->*member));
        const auto end = static_cast<std::size_t>(field - begin) + sizeof(Function);
        return end <= host_->struct_size && host_->*member != nullptr;
    }

    const sluice_host* host_;
};

/// The options as configured, defaults filled in. The host has checked names, types and bounds; the
/// getters throw std::invalid_argument (hence FATAL) only for an option that is absent, or asked for
/// as something it is not. With a fallback they throw for the latter only.
class Settings {
 public:
    Settings(const sluice_setting* items, std::size_t count) noexcept
        : items_(items), count_(count) {}

    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (detail::view(items_[i].name) == name) return detail::view(items_[i].value);
        return std::nullopt;
    }
    [[nodiscard]] bool has(std::string_view name) const noexcept { return find(name).has_value(); }

    [[nodiscard]] std::string_view string(std::string_view name) const {
        if (const auto found = find(name)) return *found;
        throw std::invalid_argument("option '" + std::string(name) + "' is not set");
    }
    [[nodiscard]] std::int64_t integer(std::string_view name) const {
        return number<std::int64_t>(name, "a whole number");
    }
    [[nodiscard]] bool boolean(std::string_view name) const {
        const std::string_view text = string(name);
        if (text != "true" && text != "false") throw wrong(name, text, "true or false");
        return text == "true";
    }
    [[nodiscard]] std::chrono::milliseconds duration(std::string_view name) const {
        return std::chrono::milliseconds(number<std::int64_t>(name, "a duration in milliseconds"));
    }
    /// In bytes.
    [[nodiscard]] std::uint64_t size(std::string_view name) const {
        return number<std::uint64_t>(name, "a size in bytes");
    }

    [[nodiscard]] std::string_view string(std::string_view name, std::string_view fallback) const {
        return has(name) ? string(name) : fallback;
    }
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback) const {
        return has(name) ? integer(name) : fallback;
    }
    [[nodiscard]] bool boolean(std::string_view name, bool fallback) const {
        return has(name) ? boolean(name) : fallback;
    }
    [[nodiscard]] std::chrono::milliseconds duration(std::string_view name,
                                                     std::chrono::milliseconds fallback) const {
        return has(name) ? duration(name) : fallback;
    }
    [[nodiscard]] std::uint64_t size(std::string_view name, std::uint64_t fallback) const {
        return has(name) ? size(name) : fallback;
    }

 private:
    static std::invalid_argument wrong(std::string_view name, std::string_view text,
                                       const char* wanted) {
        return std::invalid_argument("option '" + std::string(name) + "' is '" + std::string(text) +
                                     "', not " + wanted);
    }
    template <class Number>
    [[nodiscard]] Number number(std::string_view name, const char* wanted) const {
        const std::string_view text = string(name);
        Number value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size())
            throw wrong(name, text, wanted);
        return value;
    }

    const sluice_setting* items_;
    std::size_t count_;
};

struct Config {
    explicit Config(const sluice_config& config) noexcept
        : settings(config.settings, config.setting_count),
          pipeline(detail::view(config.pipeline)),
          cluster_id(detail::view(config.cluster_id)),
          next_batch_id(config.next_batch_id),
          memory_max(config.struct_size >= offsetof(sluice_config, memory_max) + sizeof config.memory_max
                         ? config.memory_max
                         : 0) {}
    Settings settings;
    std::string_view pipeline;
    std::string_view cluster_id;  ///< of the source; empty in check()
    std::uint64_t next_batch_id;  ///< the lowest id that can be asked for next; 0 at the first start
    std::uint64_t memory_max;     ///< bytes that the sink may buffer, all writers together; 0: nobody bounds it

    /// `wanted` bytes of buffer, or as much of that as memory_max allows; `least` in any case.
    [[nodiscard]] std::uint64_t buffer_size(std::uint64_t wanted, std::uint64_t least) const noexcept {
        return memory_max == 0 ? wanted : std::min(wanted, std::max(memory_max, least));
    }
};

// ---- what a plugin derives from ---------------------------------------------------------------------

/// Writes one range. Calls of one writer never overlap; those of different writers do.
class Writer {
 public:
    virtual ~Writer() = default;
    /// Records of the writer's range, ascending offsets. Retry: nothing of the call was kept.
    virtual Status write(Records records) = 0;
    /// The last call. `keep` is false when the batch is being aborted. Retry: the batch runs again.
    virtual Status close(bool keep) = 0;
};

/// One per pipeline. Calls overlap neither each other nor open writers, with one exception: unless the
/// sink is ordered, open_writer() runs for several ranges at once, beside the writers it made.
/// The most derived class also has, for sink.h's open() and check():
///   T(Host host, const Config& config, std::optional<std::string_view> receipt);  // may throw
///   static Status check(const Config& config);   // optional; touches nothing outside the process
///   static std::int32_t guarantee(const Config& config);   // optional: SLUICE_AT_LEAST_ONCE …, where
///                                                 // options cost some of what is described
///   static std::string target(const Config& config);   // optional: what one pipeline alone may write to,
///                                                 // without secrets; "": what its required options say
class Sink {
 public:
    virtual ~Sink() = default;
    /// Status::ok(), or Status::already_committed(receipt) when an earlier attempt made it.
    virtual Status begin(const Batch& batch) = 0;
    /// Never null; throws instead.
    virtual std::unique_ptr<Writer> open_writer(const Range& range) = 0;
    /// Durable and visible, as one, when it returns Status::ok(receipt). Retry: in doubt.
    virtual Status commit(std::uint64_t batch_id) = 0;
    /// Nothing of the batch may remain visible, unless a commit in doubt did succeed: begin() tells.
    virtual Status abort(std::uint64_t batch_id) = 0;
    /// Asked once, after construction: stored before the first batch is planned. nullopt: none.
    virtual std::optional<std::string> initial_receipt() { return std::nullopt; }
};

// ---- description ------------------------------------------------------------------------------------

namespace detail {
template <std::size_t N>
constexpr sluice_string literal(const char (&text)[N]) noexcept {
    return {text, N - 1};
}
}  // namespace detail

/// Builds one row of an option table: `constexpr sluice_option options[] = {option(…).required(), …}`.
class OptionBuilder {
 public:
    constexpr OptionBuilder(sluice_string name, std::int32_t type, sluice_string sentence) noexcept
        : option_{name, type, 0, {nullptr, 0}, {nullptr, 0}, sentence, 0, 0} {}

    constexpr OptionBuilder required() const noexcept { return flagged(SLUICE_OPTION_REQUIRED); }
    /// Never shown again, neither in logs nor by `validate`.
    constexpr OptionBuilder secret() const noexcept { return flagged(SLUICE_OPTION_SECRET); }
    /// As it would stand in YAML: "5s", "64MiB".
    template <std::size_t N>
    constexpr OptionBuilder by_default(const char (&text)[N]) const noexcept {
        OptionBuilder changed = *this;
        changed.option_.default_value = detail::literal(text);
        return changed;
    }
    /// Of a CHOICE, separated by '|'.
    template <std::size_t N>
    constexpr OptionBuilder choices(const char (&text)[N]) const noexcept {
        OptionBuilder changed = *this;
        changed.option_.choices = detail::literal(text);
        return changed;
    }
    /// Of an INT, DURATION (ms) or SIZE (bytes); both included.
    constexpr OptionBuilder between(std::int64_t minimum, std::int64_t maximum) const noexcept {
        OptionBuilder changed = *this;
        changed.option_.minimum = minimum;
        changed.option_.maximum = maximum;
        return changed;
    }
    constexpr operator sluice_option() const noexcept { return option_; }

 private:
    constexpr OptionBuilder flagged(std::uint32_t flag) const noexcept {
        OptionBuilder changed = *this;
        changed.option_.flags |= flag;
        return changed;
    }
    sluice_option option_;
};

/// `type` is SLUICE_OPTION_…, `sentence` its documentation.
template <std::size_t N, std::size_t M>
constexpr OptionBuilder option(const char (&name)[N], std::int32_t type,
                               const char (&sentence)[M]) noexcept {
    return {detail::literal(name), type, detail::literal(sentence)};
}

/// What the daemon is told about a plugin. At-least-once and unordered until said otherwise.
class Description {
 public:
    constexpr Description(sluice_string name, sluice_string version, sluice_string sentence) noexcept
        : name_(name), version_(version), sentence_(sentence) {}

    constexpr Description idempotent() const noexcept { return guaranteed(SLUICE_IDEMPOTENT); }
    constexpr Description exactly_once() const noexcept { return guaranteed(SLUICE_EXACTLY_ONCE); }
    /// One writer at a time, in plan order.
    constexpr Description ordered() const noexcept {
        Description changed = *this;
        changed.flags_ |= SLUICE_SINK_ORDERED;
        return changed;
    }
    /// The table must live as long as the process: a constexpr array at namespace scope does.
    template <std::size_t N>
    constexpr Description options(const sluice_option (&table)[N]) const noexcept {
        Description changed = *this;
        changed.options_ = table;
        changed.option_count_ = static_cast<std::uint32_t>(N);
        return changed;
    }
    constexpr sluice_sink_plugin table(const sluice_sink_api* api) const noexcept {
        return {static_cast<std::uint32_t>(sizeof(sluice_sink_plugin)), SLUICE_SINK_ABI, name_,
                version_, sentence_, guarantee_, flags_, options_, option_count_,
                static_cast<std::uint32_t>(sizeof(sluice_option)), api};
    }

 private:
    constexpr Description guaranteed(std::int32_t guarantee) const noexcept {
        Description changed = *this;
        changed.guarantee_ = guarantee;
        return changed;
    }
    sluice_string name_;
    sluice_string version_;
    sluice_string sentence_;
    std::int32_t guarantee_ = SLUICE_AT_LEAST_ONCE;
    std::uint32_t flags_ = 0;
    const sluice_option* options_ = nullptr;
    std::uint32_t option_count_ = 0;
};

template <std::size_t N, std::size_t V, std::size_t S>
constexpr Description describe(const char (&name)[N], const char (&version)[V],
                               const char (&sentence)[S]) noexcept {
    return {detail::literal(name), detail::literal(version), detail::literal(sentence)};
}

// ---- the boundary -----------------------------------------------------------------------------------

namespace detail {

/// What `sluice_sink*` points to.
struct SinkHandle {
    Host host;
    std::unique_ptr<Sink> sink;
    std::string receipt;  // handed out: valid until the next call on this sink
};

/// What `sluice_writer*` points to.
struct WriterHandle {
    Host host;
    std::unique_ptr<Writer> writer;
    std::vector<Rejection> rejections;  // handed out: valid until the next call on this writer
    std::vector<sluice_reject> raw_rejections;
};

inline SinkHandle& handle(sluice_sink* sink) noexcept {
    return *reinterpret_cast<SinkHandle*>(sink);
}
inline WriterHandle& handle(sluice_writer* writer) noexcept {
    return *reinterpret_cast<WriterHandle*>(writer);
}

/// Runs one call; whatever it throws becomes a status and an error text.
template <class Call>
sluice_status guarded(Host host, Call call) noexcept {
    try {
        const Status status = call();
        if (status.code() >= SLUICE_RETRY)
            host.set_error(status.text().empty() ? "the plugin gave no reason"
                                                 : std::string_view(status.text()));
        return status.code();
    } catch (const Retry& retry) {
        host.set_error(retry.what());
        return SLUICE_RETRY;
    } catch (const std::bad_alloc&) {
        host.set_error("the plugin ran out of memory: raise the memory limit of the daemon");
        return SLUICE_FATAL;
    } catch (const std::exception& error) {
        host.set_error(error.what());
        return SLUICE_FATAL;
    } catch (...) {
        host.set_error("the plugin threw something that is not a std::exception");
        return SLUICE_FATAL;
    }
}

/// Keeps a receipt in the handle and hands it out.
inline void hand_out(SinkHandle& at, const Status& status, sluice_bytes* receipt) {
    if (!status.has_receipt() || receipt == nullptr) return;
    at.receipt = status.text();
    *receipt = raw_bytes(at.receipt);
}

inline void hand_out(WriterHandle& at, const Status& status, sluice_rejected* rejected) {
    if (status.code() != SLUICE_REJECT || rejected == nullptr) return;
    at.rejections = status.rejections();
    at.raw_rejections.clear();
    for (const Rejection& rejection : at.rejections)
        at.raw_rejections.push_back({rejection.index, raw(rejection.reason)});
    rejected->kind = status.reject_kind();
    rejected->items = at.raw_rejections.data();
    rejected->count = at.raw_rejections.size();
}

template <class T, class = void>
struct HasCheck : std::false_type {};
template <class T>
struct HasCheck<T, std::void_t<decltype(T::check(std::declval<const Config&>()))>>
    : std::true_type {};

template <class T, class = void>
struct HasGuarantee : std::false_type {};
template <class T>
struct HasGuarantee<T, std::void_t<decltype(T::guarantee(std::declval<const Config&>()))>>
    : std::true_type {};

template <class T, class = void>
struct HasTarget : std::false_type {};
template <class T>
struct HasTarget<T, std::void_t<decltype(std::string(T::target(std::declval<const Config&>())))>>
    : std::true_type {};

/// The C functions for one sink class.
template <class T>
struct Binding {
    static_assert(std::is_base_of_v<Sink, T>, "a sink derives from sluice::Sink");
    static_assert(
        std::is_constructible_v<T, Host, const Config&, std::optional<std::string_view>>,
        "a sink is made from (sluice::Host, const sluice::Config&, std::optional<std::string_view>)");

    static sluice_status check(const sluice_host* host, const sluice_config* config) noexcept {
        return guarded(Host(host), [&] {
            if constexpr (HasCheck<T>::value) return Status(T::check(Config(*config)));
            return Status();
        });
    }

    static sluice_status open(const sluice_host* host, const sluice_config* config,
                              sluice_bytes receipt, sluice_sink** sink,
                              sluice_bytes* initial_receipt) noexcept {
        return guarded(Host(host), [&] {
            auto made = std::make_unique<SinkHandle>(SinkHandle{Host(host), nullptr, {}});
            made->sink = std::make_unique<T>(Host(host), Config(*config), view(receipt));
            if (auto initial = made->sink->initial_receipt())
                hand_out(*made, Status::ok(std::move(*initial)), initial_receipt);
            *sink = reinterpret_cast<sluice_sink*>(made.release());
            return Status();
        });
    }

    static void close(sluice_sink* sink) noexcept {
        delete reinterpret_cast<SinkHandle*>(sink);
    }

    static sluice_status begin(sluice_sink* sink, const sluice_batch* batch,
                               sluice_bytes* receipt) noexcept {
        return guarded(handle(sink).host, [&] {
            Status status = handle(sink).sink->begin(Batch(*batch));
            if (status.code() == SLUICE_ALREADY_COMMITTED) hand_out(handle(sink), status, receipt);
            return status;
        });
    }

    static sluice_status abort(sluice_sink* sink, std::uint64_t batch_id) noexcept {
        return guarded(handle(sink).host, [&] { return handle(sink).sink->abort(batch_id); });
    }

    static sluice_status commit(sluice_sink* sink, std::uint64_t batch_id,
                                sluice_bytes* receipt) noexcept {
        return guarded(handle(sink).host, [&] {
            Status status = handle(sink).sink->commit(batch_id);
            hand_out(handle(sink), status, receipt);
            return status;
        });
    }

    static sluice_status writer_open(sluice_sink* sink, const sluice_range* range,
                                     sluice_writer** writer) noexcept {
        return guarded(handle(sink).host, [&] {
            auto made = std::make_unique<WriterHandle>(
                WriterHandle{handle(sink).host, handle(sink).sink->open_writer(Range(*range)), {}, {}});
            if (made->writer == nullptr)
                return Status::fatal("the plugin answered open_writer() with no writer");
            *writer = reinterpret_cast<sluice_writer*>(made.release());
            return Status();
        });
    }

    static sluice_status writer_write(sluice_writer* writer, const sluice_record* records,
                                      std::size_t count, sluice_rejected* rejected) noexcept {
        return guarded(handle(writer).host, [&] {
            Status status = handle(writer).writer->write(Records(records, count));
            hand_out(handle(writer), status, rejected);
            return status;
        });
    }

    static sluice_status writer_close(sluice_writer* writer, std::int32_t keep) noexcept {
        const std::unique_ptr<WriterHandle> owned(reinterpret_cast<WriterHandle*>(writer));
        return guarded(owned->host, [&] { return owned->writer->close(keep != 0); });
    }

    static std::int32_t guarantee(const sluice_config* config) noexcept {
        try {
            if constexpr (HasGuarantee<T>::value) return T::guarantee(Config(*config));
        } catch (...) {  // options that it can't read: open() says so
        }
        return SLUICE_AT_LEAST_ONCE;
    }

    static std::size_t target(const sluice_config* config, char* buffer, std::size_t capacity) noexcept {
        try {
            if constexpr (HasTarget<T>::value) {
                const std::string name(T::target(Config(*config)));
                std::copy_n(name.data(), std::min(name.size(), capacity), buffer);
                return name.size();
            }
        } catch (...) {  // options that it can't read: check() says so
        }
        return 0;
    }

    static const sluice_sink_api* api() noexcept {
        static const sluice_sink_api table = {static_cast<std::uint32_t>(sizeof(sluice_sink_api)),
                                              0,
                                              HasCheck<T>::value ? &Binding::check : nullptr,
                                              &Binding::open,
                                              &Binding::close,
                                              &Binding::begin,
                                              &Binding::abort,
                                              &Binding::writer_open,
                                              &Binding::writer_write,
                                              &Binding::writer_close,
                                              &Binding::commit,
                                              HasGuarantee<T>::value ? &Binding::guarantee : nullptr,
                                              HasTarget<T>::value ? &Binding::target : nullptr};
        return &table;
    }
};

}  // namespace detail
}  // namespace sink_v1
}  // namespace sluice

/// Exports `sluice_sink_plugin_v1` for the sink class `Class`. What follows is a sluice::Description;
/// variadic because its commas are not the macro's.
#define SLUICE_SINK_PLUGIN(Class, ...)                                          \
    extern "C" SLUICE_EXPORT const sluice_sink_plugin* sluice_sink_plugin_v1() { \
        static const sluice_sink_plugin table =                                 \
            (__VA_ARGS__).table(::sluice::detail::Binding<Class>::api());       \
        return &table;                                                          \
    }                                                                           \
    static_assert(true, "takes the semicolon")

#endif  // SLUICE_SINK_HPP
