#pragma once
// Result<T>: a value or an Error. Its members carry the names of std::expected, so that it can
// become an alias of it one day (C++20 mode has no <expected>).

#include <string>
#include <utility>
#include <variant>

#include "daemon/base/assert.hpp"
#include "daemon/base/error.hpp"

namespace sluice {

template <class T>
class [[nodiscard]] Result {
 public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T& value() & { return checked(), *std::get_if<0>(&state_); }
    const T& value() const& { return checked(), *std::get_if<0>(&state_); }
    T&& value() && { return checked(), std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    [[nodiscard]] const Error& error() const& { return *std::get_if<1>(&state_); }
    [[nodiscard]] Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
    void checked() const { SLUICE_ASSERT(has_value()); }

    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
    using value_type = void;

    Result() = default;
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] const Error& error() const& { return *std::get_if<1>(&state_); }
    [[nodiscard]] Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
    std::variant<std::monostate, Error> state_;
};

/// Drops an error on purpose; `why` is for the reader, and makes every such place searchable.
template <class T>
void ignore_error(const Result<T>& result, const char* why) {
    (void)result;
    (void)why;
}

}  // namespace sluice

#define SLUICE_CONCAT_INNER(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_INNER(a, b)

/// `SLUICE_TRY(auto marks, reader.watermarks(partition));` declares `marks`, or returns the error.
#define SLUICE_TRY(declaration, ...) \
    SLUICE_TRY_INNER(SLUICE_CONCAT(sluice_result_, __COUNTER__), declaration, __VA_ARGS__)
#define SLUICE_TRY_INNER(result, declaration, ...)     \
    auto result = (__VA_ARGS__);                       \
    if (!result) return std::move(result).error();     \
    declaration = std::move(result).value()

/// The same for Result<void>, and for a value that is not wanted.
#define SLUICE_CHECK(...)                                                     \
    do {                                                                      \
        if (auto sluice_checked = (__VA_ARGS__); !sluice_checked)             \
            return std::move(sluice_checked).error();                         \
    } while (false)
