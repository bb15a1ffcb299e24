#include "daemon/operations/plugins.hpp"

#include <boost/json/value_from.hpp>

#include "daemon/operations/json.hpp"
#include "daemon/sink/plugin.hpp"

namespace sluice::operations {
namespace {

const char* name_of_type(std::int32_t type) {
    switch (type) {
        case SLUICE_OPTION_INT: return "int";
        case SLUICE_OPTION_BOOL: return "bool";
        case SLUICE_OPTION_DURATION: return "duration";
        case SLUICE_OPTION_SIZE: return "size";
        case SLUICE_OPTION_CHOICE: return "choice";
        case SLUICE_OPTION_PATH: return "path";
        case SLUICE_OPTION_JSON: return "json";
        default: return "string";
    }
}

json::object option_json(const sink::Option& option) {
    json::object object{{"name", option.name},
                        {"type", name_of_type(option.type)},
                        {"required", option.required},
                        {"secret", option.secret},
                        {"default", nullptr},
                        {"choices", json::value_from(option.choices)},
                        {"sentence", option.sentence}};
    if (option.default_value) object["default"] = *option.default_value;
    return object;
}

}  // namespace

Result<json::object> list_plugins(const std::filesystem::path& directory) {
    SLUICE_TRY(const auto found, sink::load_plugins(directory));
    json::array plugins;
    for (const auto& [name, plugin] : found.plugins) {
        json::array options;
        for (const auto& option : plugin->options()) options.push_back(option_json(option));
        plugins.push_back(json::object{{"name", name},
                                       {"version", plugin->version()},
                                       {"sentence", plugin->sentence()},
                                       {"guarantee", sink::name_of(plugin->guarantee())},
                                       {"ordered", plugin->ordered()},
                                       {"file", plugin->file().string()},
                                       {"options", std::move(options)}});
    }
    json::array broken;
    for (const auto& [file, error] : found.broken) {
        broken.push_back(json::object{{"file", file}, {"error", error.message}});
    }
    return json::object{{"directory", directory.string()},
                        {"plugins", std::move(plugins)},
                        {"broken", std::move(broken)}};
}

}  // namespace sluice::operations
