#include "daemon/sinktest/wire.hpp"

#include <cstring>
#include <type_traits>

#include "daemon/base/assert.hpp"

namespace sluice::sinktest {
namespace {

class Packer {
 public:
    template <class T>
    Packer& operator&(const T& value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        text_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Packer& operator&(const std::string& text) {
        *this & text.size();
        text_ += text;
        return *this;
    }
    template <class T>
    Packer& operator&(const std::optional<T>& value) {
        *this & value.has_value();
        return value ? *this & *value : *this;
    }
    template <class T>
    Packer& operator&(const std::vector<T>& values) {
        *this & values.size();
        for (const T& value : values) fields(*this, value);
        return *this;
    }
    std::string text() && { return std::move(text_); }

 private:
    std::string text_;
};

class Unpacker {
 public:
    explicit Unpacker(std::string_view text) : text_(text) {}

    template <class T>
    Unpacker& operator&(T& value) {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return *this;
    }
    Unpacker& operator&(std::string& text) {
        std::size_t size = 0;
        *this & size;
        text = take(size);
        return *this;
    }
    template <class T>
    Unpacker& operator&(std::optional<T>& value) {
        bool has_value = false;
        *this & has_value;
        if (!has_value) return *this;
        return *this & value.emplace();
    }
    template <class T>
    Unpacker& operator&(std::vector<T>& values) {
        std::size_t size = 0;
        *this & size;
        for (std::size_t i = 0; i < size; ++i) fields(*this, values.emplace_back());
        return *this;
    }

 private:
    std::string_view take(std::size_t size) {
        SLUICE_ASSERT(size <= text_.size());
        const std::string_view taken = text_.substr(0, size);
        text_.remove_prefix(size);
        return taken;
    }

    std::string_view text_;
};

// One list of fields for both directions; found by either class through its arguments.

template <class Archive, class T>
void fields(Archive& archive, T& value)
    requires std::is_same_v<std::remove_const_t<T>, sink::Refused>
{
    archive & value.range_index & value.offset & value.reason;
}

template <class Archive, class T>
void fields(Archive& archive, T& value)
    requires std::is_same_v<std::remove_const_t<T>, sink::Range>
{
    archive & value.topic & value.partition & value.index & value.from & value.until & value.token;
}

template <class Archive, class T>
void fields(Archive& archive, T& value)
    requires std::is_same_v<std::remove_const_t<T>, Request>
{
    archive & value.op & value.context.pipeline & value.context.cluster_id &
        value.context.next_batch_id & value.context.receipt & value.batch.id &
        value.batch.is_rerun & value.batch.ranges & value.flavor & value.known & value.range &
        value.from & value.until & value.keep & value.chunk & value.pause_ms;
}

template <class Archive, class T>
void fields(Archive& archive, T& value)
    requires std::is_same_v<std::remove_const_t<T>, Answer>
{
    archive & value.status & value.message & value.receipt & value.refused & value.forms &
        value.retries & value.retry & value.descriptors & value.threads;
}

template <class T>
std::string packed(const T& value) {
    Packer packer;
    fields(packer, value);
    return std::move(packer).text();
}

template <class T>
T unpacked(std::string_view text) {
    Unpacker unpacker(text);
    T value;
    fields(unpacker, value);
    return value;
}

}  // namespace

std::string_view name_of(Op op) noexcept {
    switch (op) {
        case Op::open: return "open()";
        case Op::close: return "close()";
        case Op::begin: return "begin()";
        case Op::open_writer: return "writer_open()";
        case Op::write: return "writer_write()";
        case Op::close_writer: return "writer_close()";
        case Op::commit: return "commit()";
        case Op::abort: return "abort()";
        case Op::write_all: return "writer_write() of parallel writers";
        case Op::stop: return "the request to stop";
        case Op::count: return "close()";
    }
    return "?";
}

std::string encoded(const Request& request) { return packed(request); }
std::string encoded(const Answer& answer) { return packed(answer); }
Request decoded_request(std::string_view text) { return unpacked<Request>(text); }
Answer decoded_answer(std::string_view text) { return unpacked<Answer>(text); }

}  // namespace sluice::sinktest
