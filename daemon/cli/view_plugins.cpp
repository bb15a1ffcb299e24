#include "daemon/cli/fields.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"

namespace sluice::cli {

std::string view_plugins(const json::object& plugins) {
    Table table({{"PLUGIN"}, {"VERSION"}, {"GUARANTEE"}, {"DOES"}});
    for (const auto& value : array_of(plugins, "plugins")) {
        if (!value.is_object()) continue;
        const json::object& plugin = value.get_object();
        table.add({text_of(plugin, "name"), text_of(plugin, "version"),
                   text_of(plugin, "guarantee") + (flag_of(plugin, "ordered") ? ", in order" : ""),
                   text_of(plugin, "sentence")});
    }
    std::string out =
        table.is_empty() ? "no plugins in " + text_of(plugins, "directory") + "\n" : table.text();
    for (const auto& value : array_of(plugins, "broken")) {
        if (!value.is_object()) continue;
        out += "not usable: " + printable(text_of(value.get_object(), "file")) + ": " +
               printable(text_of(value.get_object(), "error")) + "\n";
    }
    return out;
}

std::string view_plugin(const json::object& plugin) {
    std::string out = printable(text_of(plugin, "name") + " " + text_of(plugin, "version") + ", " +
                                text_of(plugin, "guarantee") + ": " + text_of(plugin, "sentence")) +
                      "\n" + printable(text_of(plugin, "file")) + "\n\n";
    Table table({{"OPTION"}, {"TYPE"}, {"DEFAULT"}, {"MEANS"}});
    for (const auto& value : array_of(plugin, "options")) {
        if (!value.is_object()) continue;
        const json::object& option = value.get_object();
        std::string type = text_of(option, "type");
        if (const json::array& choices = array_of(option, "choices"); !choices.empty()) {
            type.clear();
            for (const auto& choice : choices) {
                if (choice.is_string()) type += (type.empty() ? "" : "|") + std::string(choice.get_string());
            }
        }
        const std::string otherwise = flag_of(option, "required") ? "(required)" : "";
        table.add({text_of(option, "name"), type, text_of(option, "default", otherwise.c_str()),
                   text_of(option, "sentence") + (flag_of(option, "secret") ? " (secret)" : "")});
    }
    return out + (table.is_empty() ? "no options\n" : table.text());
}

}  // namespace sluice::cli
