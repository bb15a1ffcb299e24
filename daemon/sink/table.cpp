#include "daemon/sink/table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "daemon/base/text.hpp"
#include "daemon/sink/adapter.hpp"
#include "daemon/sink/wrong.hpp"

namespace sluice::sink {
namespace {

// What the first release of the ABI had, which every plugin therefore has. These never change;
// fields appended later are optional.
template <class Field>
constexpr std::size_t end_of(std::size_t offset) {
    return offset + sizeof(Field);
}
constexpr std::size_t plugin_size_min =
    end_of<const sluice_sink_api*>(offsetof(sluice_sink_plugin, api));
constexpr std::size_t api_size_min = end_of<void (*)()>(offsetof(sluice_sink_api, commit));
constexpr std::size_t option_size_min = end_of<std::int64_t>(offsetof(sluice_option, maximum));

constexpr std::size_t options_max = 256;
constexpr std::size_t word_bytes_max = 64;        // names, versions
constexpr std::size_t sentence_bytes_max = 1024;  // sentences, lists of choices, defaults

const char* const rebuild = "build the plugin again with the sluice/sink.h of this version";


/// A text of the table, copied. `what` names it in errors.
Result<std::string> text(const std::string& what, sluice_string raw, std::size_t bytes_max) {
    if (raw.data == nullptr && raw.size != 0) {
        return wrong(what + " is at NULL but has " + std::to_string(raw.size) +
                     " bytes: set its pointer, for example with SLUICE_STRING");
    }
    if (raw.size > bytes_max) {
        return wrong(what + " has " + std::to_string(raw.size) + " bytes: shorten it to " +
                     std::to_string(bytes_max));
    }
    std::string copy(raw.data == nullptr ? "" : raw.data, raw.size);
    if (!is_valid_utf8(copy)) return wrong(what + " is not valid UTF-8");
    const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
    if (std::any_of(copy.begin(), copy.end(), is_control)) {
        return wrong(what + " contains a control character: remove it");
    }
    return copy;
}

Result<std::string> word(const std::string& what, sluice_string raw) {
    SLUICE_TRY(std::string copy, text(what, raw, word_bytes_max));
    if (copy.empty()) return wrong(what + " is empty: set it");
    return copy;
}

bool is_camel_case(std::string_view name) {
    const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto is_inner = [&](char c) {
        return is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && is_lower(name.front()) &&
           std::all_of(name.begin(), name.end(), is_inner);
}

std::vector<std::string> split_choices(const std::string& list) {
    std::vector<std::string> choices;
    std::size_t at = 0;
    while (true) {
        const std::size_t end = list.find('|', at);
        choices.push_back(list.substr(at, end - at));
        if (end == std::string::npos) return choices;
        at = end + 1;
    }
}

Result<void> check_choices(const std::string& what, const Option& option) {
    for (auto choice = option.choices.begin(); choice != option.choices.end(); ++choice) {
        if (choice->empty()) {
            return wrong(what + " has an empty choice: list them as \"one|two\"");
        }
        if (std::find(option.choices.begin(), choice, *choice) != choice) {
            return wrong(what + " has the choice '" + *choice + "' twice");
        }
    }
    return {};
}

Result<void> check_bounds(const std::string& what, const Option& option, std::int64_t value) {
    const bool bounded = option.minimum != 0 || option.maximum != 0;
    if (bounded && (value < option.minimum || value > option.maximum)) {
        return wrong(what + " has the default '" + *option.default_value +
                     "', which is outside its own bounds (" + std::to_string(option.minimum) +
                     " to " + std::to_string(option.maximum) + ')');
    }
    return {};
}

/// A default is held to what a person's setting is held to.
Result<void> check_default(const std::string& what, const Option& option) {
    const std::string& value = *option.default_value;
    const auto unfit = [&](const std::string& why) {
        return wrong(what + " has a default that does not fit its type: " + why);
    };
    switch (option.type) {
        case SLUICE_OPTION_INT: {
            const auto number = parse_int64(value);
            if (!number) return unfit('\'' + value + "' is not a whole number");
            return check_bounds(what, option, *number);
        }
        case SLUICE_OPTION_BOOL:
            if (value != "true" && value != "false")
                return unfit('\'' + value + "' is not true or false");
            return {};
        case SLUICE_OPTION_DURATION: {
            const auto duration = parse_duration(value);
            if (!duration) return unfit(duration.error().message);
            return check_bounds(what, option, duration->count());
        }
        case SLUICE_OPTION_SIZE: {
            const auto size = parse_size(value);
            if (!size) return unfit(size.error().message);
            return check_bounds(what, option, static_cast<std::int64_t>(*size));
        }
        case SLUICE_OPTION_CHOICE:
            if (std::find(option.choices.begin(), option.choices.end(), value) ==
                option.choices.end()) {
                return unfit('\'' + value + "' is not among its choices");
            }
            return {};
        case SLUICE_OPTION_PATH:
        case SLUICE_OPTION_JSON:
            if (value.empty()) return unfit("it is empty");
            return {};
        default:
            return {};  // any text is a string
    }
}

Result<Option> read_option(const sluice_option& raw, std::size_t place) {
    SLUICE_TRY(std::string name, word("the name of option " + std::to_string(place), raw.name));
    const std::string what = "option '" + name + '\'';
    if (!is_camel_case(name)) {
        return wrong(what + " is not camelCase: letters and digits only, a small letter first");
    }
    if (name == "plugin") return wrong(what + " takes the key that names the plugin: rename it");
    if (raw.type < SLUICE_OPTION_STRING || raw.type > SLUICE_OPTION_JSON) {
        return wrong(what + " has the unknown type " + std::to_string(raw.type) +
                     ": use one of SLUICE_OPTION_…, or install the sluice that knows it");
    }
    Option option;
    option.name = std::move(name);
    option.type = raw.type;
    option.required = (raw.flags & SLUICE_OPTION_REQUIRED) != 0;
    option.secret = (raw.flags & SLUICE_OPTION_SECRET) != 0;
    option.minimum = raw.minimum;
    option.maximum = raw.maximum;
    if (option.minimum > option.maximum) {
        return wrong(what + " has a minimum above its maximum: swap them, or set INT64_MAX");
    }
    SLUICE_TRY(option.sentence, text("the sentence of " + what, raw.sentence, sentence_bytes_max));
    if (option.type == SLUICE_OPTION_CHOICE) {
        SLUICE_TRY(const std::string list,
                   text("the choices of " + what, raw.choices, sentence_bytes_max));
        option.choices = split_choices(list);
        SLUICE_CHECK(check_choices(what, option));
    }
    if (raw.default_value.data != nullptr) {
        if (option.required) {
            return wrong(what + " is required and has a default: it can be one of them");
        }
        SLUICE_TRY(option.default_value,
                   text("the default of " + what, raw.default_value, sentence_bytes_max));
        SLUICE_CHECK(check_default(what, option));
    }
    return option;
}

Result<std::vector<Option>> read_options(const sluice_sink_plugin& table) {
    std::vector<Option> options;
    if (table.option_count == 0) return options;
    if (table.options == nullptr) {
        return wrong("it counts " + std::to_string(table.option_count) +
                     " options and has no table of them: set `options`, or option_count to 0");
    }
    if (table.option_count > options_max) {
        return wrong("it has " + std::to_string(table.option_count) + " options, and " +
                     std::to_string(options_max) + " are allowed: is option_count right?");
    }
    if (table.option_size < option_size_min) {
        return wrong("its option_size of " + std::to_string(table.option_size) + " is below the " +
                     std::to_string(option_size_min) +
                     " of sluice_option: set it to sizeof(sluice_option), or " + rebuild);
    }
    // The stride is the plugin's: its options may be longer than ours. Copied, since such a stride
    // promises no alignment either.
    const auto* const rows = reinterpret_cast<const unsigned char*>(table.options);
    for (std::size_t i = 0; i < table.option_count; ++i) {
        sluice_option raw{};
        std::memcpy(&raw, rows + i * table.option_size,
                    std::min<std::size_t>(sizeof raw, table.option_size));
        SLUICE_TRY(Option option, read_option(raw, i + 1));
        const auto same = [&](const Option& other) { return other.name == option.name; };
        if (std::any_of(options.begin(), options.end(), same)) {
            return wrong("option '" + option.name + "' is there twice: remove one");
        }
        options.push_back(std::move(option));
    }
    return options;
}

Result<sluice_sink_api> read_api(const sluice_sink_api* raw) {
    if (raw == nullptr) return wrong("its api is NULL: point it to the plugin's sluice_sink_api");
    std::uint32_t size = 0;
    std::memcpy(&size, raw, sizeof size);
    if (size < api_size_min) {
        return wrong("the struct_size of its api is " + std::to_string(size) + ", below the " +
                     std::to_string(api_size_min) +
                     " of sluice_sink_api: set it to sizeof(sluice_sink_api), or " + rebuild);
    }
    sluice_sink_api api{};
    std::memcpy(&api, raw, std::min<std::size_t>(sizeof api, size));
    const std::pair<const char*, bool> required[] = {{"open", api.open != nullptr},
                                                     {"close", api.close != nullptr},
                                                     {"begin", api.begin != nullptr},
                                                     {"abort", api.abort != nullptr},
                                                     {"writer_open", api.writer_open != nullptr},
                                                     {"writer_write", api.writer_write != nullptr},
                                                     {"writer_close", api.writer_close != nullptr},
                                                     {"commit", api.commit != nullptr}};
    for (const auto& [name, present] : required) {
        if (!present) {
            return wrong(std::string("its api has no ") + name +
                         "(): only check(), guarantee() and target() may be NULL");
        }
    }
    return api;
}

Result<void> check_version(const sluice_sink_plugin* raw) {
    std::uint32_t size = 0;
    std::memcpy(&size, raw, sizeof size);
    const auto too_small = [&] {
        return wrong("its struct_size is " + std::to_string(size) + ", below the " +
                     std::to_string(plugin_size_min) +
                     " of sluice_sink_plugin: set it to sizeof(sluice_sink_plugin), or " + rebuild);
    };
    if (size < end_of<std::uint32_t>(offsetof(sluice_sink_plugin, abi))) return too_small();
    std::uint32_t abi = 0;
    std::memcpy(&abi,
                reinterpret_cast<const unsigned char*>(raw) + offsetof(sluice_sink_plugin, abi),
                sizeof abi);
    const std::string versions = "sink ABI " + std::to_string(abi) +
                                 ", and this daemon (sluice " SLUICE_VERSION ") speaks " +
                                 std::to_string(SLUICE_SINK_ABI);
    if (abi > SLUICE_SINK_ABI) {
        return wrong("it needs " + versions + ": install a newer sluice, or " + rebuild);
    }
    if (abi < SLUICE_SINK_ABI) {
        return wrong("it was built for " + versions + ": get a newer release of the plugin, or " +
                     rebuild);
    }
    if (size < plugin_size_min) return too_small();
    return {};
}

class TablePlugin final : public Plugin {
 public:
    TablePlugin(Descriptor descriptor, std::filesystem::path file)
        : descriptor_(std::move(descriptor)), file_(std::move(file)) {}

    const std::string& name() const override { return descriptor_.name; }
    const std::string& version() const override { return descriptor_.version; }
    const std::string& sentence() const override { return descriptor_.sentence; }
    Guarantee guarantee() const override { return descriptor_.guarantee; }
    Guarantee guarantee_with(const Settings& settings) const override {
        return sink::guarantee_with(descriptor_, settings);
    }
    bool ordered() const override { return descriptor_.ordered; }
    const std::vector<Option>& options() const override { return descriptor_.options; }
    const std::filesystem::path& file() const override { return file_; }

    Result<void> check(const std::string& pipeline, const Settings& settings) const override {
        return check_settings(descriptor_, pipeline, settings);
    }
    Result<std::string> target(const std::string& pipeline, const Settings& settings) const override {
        return target_with(descriptor_, pipeline, settings);
    }
    OpenReply open(const SinkContext& context, const Settings& settings,
                   const std::atomic<bool>& stopping) const override {
        return open_sink(descriptor_, context, settings, stopping);
    }

 private:
    const Descriptor descriptor_;
    const std::filesystem::path file_;
};

}  // namespace

Result<Descriptor> read_table(const sluice_sink_plugin* table, std::string_view expected_name) {
    if (table == nullptr) {
        return wrong(
            "sluice_sink_plugin_v1() returned NULL: it returns the plugin's constant table");
    }
    SLUICE_CHECK(check_version(table));
    sluice_sink_plugin raw{};
    std::memcpy(&raw, table, plugin_size_min);

    Descriptor descriptor;
    SLUICE_TRY(descriptor.name, word("its name", raw.name));
    if (descriptor.name != expected_name) {
        return wrong("it calls itself '" + descriptor.name + "', and its file says '" +
                     std::string(expected_name) + "': rename the file to " + descriptor.name +
                     ".so, or change the name in its table");
    }
    SLUICE_TRY(descriptor.version, word("its version", raw.version));
    SLUICE_TRY(descriptor.sentence, text("its sentence", raw.sentence, sentence_bytes_max));
    switch (raw.guarantee) {
        case SLUICE_AT_LEAST_ONCE:
            descriptor.guarantee = Guarantee::at_least_once;
            break;
        case SLUICE_IDEMPOTENT:
            descriptor.guarantee = Guarantee::idempotent;
            break;
        case SLUICE_EXACTLY_ONCE:
            descriptor.guarantee = Guarantee::exactly_once;
            break;
        default:
            return wrong("its guarantee " + std::to_string(raw.guarantee) +
                         " is unknown: use SLUICE_AT_LEAST_ONCE, SLUICE_IDEMPOTENT or "
                         "SLUICE_EXACTLY_ONCE");
    }
    descriptor.ordered = (raw.flags & SLUICE_SINK_ORDERED) != 0;
    SLUICE_TRY(descriptor.options, read_options(raw));
    SLUICE_TRY(descriptor.api, read_api(raw.api));
    return descriptor;
}

Result<std::shared_ptr<const Plugin>> plugin_from_table(const sluice_sink_plugin* table,
                                                        std::string_view expected_name,
                                                        const std::filesystem::path& file) {
    SLUICE_TRY(Descriptor descriptor, read_table(table, expected_name));
    // Shared by the registry of loaded files and by every pipeline that uses it.
    return std::shared_ptr<const Plugin>(
        std::make_shared<TablePlugin>(std::move(descriptor), file));
}

}  // namespace sluice::sink
