#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <deque>
#include <memory>
#include <set>

#include "daemon/base/text.hpp"
#include "daemon/sink/table.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::fuzz {
namespace {

constexpr std::size_t text_bytes_max = 4096;  // longer ones have to be refused unread
constexpr std::uint32_t options_max = 300;
constexpr std::uint32_t row_bytes_max = 512;

/// Blocks of exactly the sizes asked for, so that a sanitizer sees each byte read beyond one.
class Memory {
 public:
    char* block(std::size_t size) { return blocks_.emplace_back(new char[size]()).get(); }
    /// At an address that suits no integer.
    char* odd_block(std::size_t size) { return block(size + 1) + 1; }

 private:
    std::deque<std::unique_ptr<char[]>> blocks_;
};

/// The first bytes of `value`, as many as `target` has: a field that ends outside is not there.
void put(std::span<char> target, std::size_t offset, const void* value, std::size_t size) {
    if (offset >= target.size()) return;
    std::memcpy(target.data() + offset, value, std::min(size, target.size() - offset));
}

/// Mostly what `usual` says, so that what lies behind a check is reached as well.
std::uint32_t size_of_struct(Input& in, std::size_t usual) {
    const std::uint8_t how = in.byte();
    if (how < 0xC0) return static_cast<std::uint32_t>(usual);
    if (how < 0xE0) return static_cast<std::uint32_t>(in.byte());
    return static_cast<std::uint32_t>(in.number(4));
}

sluice_string hostile_text(Input& in, Memory& memory, std::string_view usual) {
    const std::uint8_t how = in.byte();
    if (how < 0x60) return {usual.data(), usual.size()};
    if (how < 0x70) return {nullptr, 0};
    if (how < 0x78) return {nullptr, static_cast<std::size_t>(in.number(2))};
    if (how < 0x80) {  // a wild size: at most its first bytes are there
        const auto size = static_cast<std::size_t>(in.number()) | (text_bytes_max + 1);
        return {memory.block(text_bytes_max), size};
    }
    const Bytes text = in.take(how < 0xF0 ? how - 0x80U : in.number(2) % text_bytes_max);
    char* copy = memory.block(text.size());
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
}

sluice_option hostile_option(Input& in, Memory& memory, std::size_t place) {
    static const std::array<std::string, 4> names{"size", "path", "mode", "maxWait"};
    sluice_option option{};
    option.name = hostile_text(in, memory, names[place % names.size()]);
    option.type = in.byte() < 0xF0 ? in.byte() % 8 : static_cast<std::int32_t>(in.number(4));
    option.flags = in.byte();
    option.default_value = hostile_text(in, memory, {});
    option.choices = hostile_text(in, memory, "one|two");
    option.sentence = hostile_text(in, memory, "A sentence.");
    if (in.byte() % 2 == 1) {
        option.minimum = static_cast<std::int64_t>(in.number());
        option.maximum = static_cast<std::int64_t>(in.number());
    }
    return option;
}

void set_options(Input& in, Memory& memory, sluice_sink_plugin& table) {
    const std::uint8_t how = in.byte();
    table.option_size = size_of_struct(in, sizeof(sluice_option));
    table.option_count = how < 0xE0 ? how % 8U : static_cast<std::uint32_t>(in.number(4));
    if (how == 0xFF) return;  // a count of nothing
    // Too many, or rows too long: refused by their count before a row is read, or not made here.
    if (table.option_size > row_bytes_max) table.option_size %= row_bytes_max;
    const std::uint32_t rows = table.option_count > options_max ? 1 : table.option_count;
    const std::size_t size = std::size_t{rows} * table.option_size;
    char* block = how % 2 == 0 ? memory.block(size) : memory.odd_block(size);
    for (std::uint32_t i = 0; i < rows; ++i) {
        const sluice_option option = hostile_option(in, memory, i);
        const std::size_t begin = std::size_t{i} * table.option_size;
        put({block, begin + table.option_size}, begin, &option, sizeof option);
    }
    table.options = reinterpret_cast<const sluice_option*>(block);
}

/// Functions are pointers here: none is called.
const sluice_sink_api* hostile_api(Input& in, Memory& memory) {
    if (in.byte() == 0xFF) return nullptr;
    const std::uint32_t size = size_of_struct(in, sizeof(sluice_sink_api));
    const std::size_t there = std::clamp<std::size_t>(size, sizeof size, row_bytes_max);
    char* block = memory.block(there);
    std::memset(block, 0x11, there);
    put({block, there}, 0, &size, sizeof size);
    if (const std::uint8_t hole = in.byte(); hole < 16) {
        const void* none = nullptr;
        put({block, there}, std::size_t{8} * hole + 8, &none, sizeof none);
    }
    return reinterpret_cast<const sluice_sink_api*>(block);
}

void check_text(std::string_view text, std::size_t bytes_max) {
    require(text.size() <= bytes_max, "a text that is taken is short");
    require(is_valid_utf8(text), "a text that is taken is UTF-8");
    require(std::none_of(text.begin(), text.end(),
                         [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }),
            "a text that is taken has no control characters");
}

void check_descriptor(const sink::Descriptor& descriptor) {
    require(descriptor.name == "hostile", "the name is the expected one");
    check_text(descriptor.version, 64);
    check_text(descriptor.sentence, 1024);
    require(descriptor.options.size() <= 256, "options are bounded");
    std::set<std::string> names;
    for (const sink::Option& option : descriptor.options) {
        require(names.insert(option.name).second, "an option is there once");
        check_text(option.name, 64);
        check_text(option.sentence, 1024);
        require(option.minimum <= option.maximum, "bounds are in order");
        require(!(option.required && option.default_value), "required, or a default");
        if (option.default_value) check_text(*option.default_value, 1024);
        if (option.type != SLUICE_OPTION_CHOICE) continue;
        require(!option.choices.empty(), "a choice has choices");
        require(!option.default_value || std::count(option.choices.begin(), option.choices.end(),
                                                    *option.default_value) == 1,
                "the default is one of the choices");
    }
    require(descriptor.api.open != nullptr && descriptor.api.commit != nullptr,
            "required functions are there");
}

}  // namespace

void fuzz_plugin_table(Bytes bytes) {
    Input in(bytes);
    Memory memory;
    sluice_sink_plugin table{};
    table.struct_size = size_of_struct(in, sizeof table);
    table.abi = in.byte() < 0xF0 ? SLUICE_SINK_ABI : static_cast<std::uint32_t>(in.number(4));
    table.name = hostile_text(in, memory, "hostile");
    table.version = hostile_text(in, memory, "1.0");
    table.sentence = hostile_text(in, memory, "A sink.");
    table.guarantee =
        in.byte() < 0xF0 ? 1 + in.byte() % 3 : static_cast<std::int32_t>(in.number(4));
    table.flags = in.byte();
    set_options(in, memory, table);
    table.api = hostile_api(in, memory);

    // The size itself is always readable; nothing beyond what it says is.
    const std::size_t there =
        std::clamp<std::size_t>(table.struct_size, sizeof table.struct_size, row_bytes_max);
    char* block = memory.block(there);
    std::memset(block, 0xA5, there);
    put({block, there}, 0, &table, sizeof table);
    const auto descriptor =
        sink::read_table(reinterpret_cast<const sluice_sink_plugin*>(block), "hostile");
    if (descriptor) return check_descriptor(*descriptor);
    require(descriptor.error().code == ErrorCode::configuration, "it is the plugin's fault");
    require(!descriptor.error().message.empty(), "an error says something");
    require(is_valid_utf8(descriptor.error().message), "an error is UTF-8");
}

}  // namespace sluice::fuzz
