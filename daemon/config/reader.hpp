#pragma once
// From the tree to values: one key by its KeyInfo, one section by its table.

#include <functional>
#include <string>
#include <vector>

#include "daemon/config/findings.hpp"
#include "daemon/config/keys.hpp"

namespace sluice::config {

/// What reading needs and produces besides the values. Confined to one load.
struct Context {
    Findings& findings;
    const LoadOptions& options;
    const sink::PluginDirectory& plugins;
    std::filesystem::path data_dir;    ///< once the top level has been read
    std::vector<std::string> secrets;  ///< to become Config.secrets

    /// Records what the references of `node` stood for; all of its text when `is_secret`.
    void remember_secrets(const Node& node, bool is_secret);
};

/// Reads `node` as `key` says; nullopt when it can't be, which was reported.
std::optional<Value> read_value(Context& context, const KeyInfo& key, const Node& node,
                                const std::string& path);

/// False, and a finding, unless `node` is a map.
bool expect_map(Context& context, const Node& node, const std::string& path);

/// Reports a key that is none of `known`: what it is called here, or the nearest one.
void report_unknown_key(Context& context, const Node::Key& key, const std::string& path,
                        const std::vector<std::string>& known);

/// Takes a key that is not in the table of its section; false when it is unknown there too.
using OtherKeys = std::function<bool(const Node::Key& key, const Node& value)>;

/// Reads a map by its table: keys in the order they were written, then the defaults of those that
/// were not. Returns false when anything in it was wrong. A row without `set` is left to the caller.
template <class T>
bool read_section(Context& context, const Node& node, const std::string& path,
                  std::span<const Key<T>> table, T& out, const OtherKeys& other = {}) {
    if (!expect_map(context, node, path)) return false;
    const std::size_t errors_before = context.findings.error_count();
    const auto apply = [&](const Key<T>& key, const Node& value) {
        if (key.set == nullptr) return;
        const std::string inner = join_path(path, key.info.name);
        if (const auto read = read_value(context, key.info, value, inner)) key.set(context, *read, out);
    };
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const Key<T>* row = nullptr;
        for (const Key<T>& key : table) {
            if (key.info.name == node.keys[i].name) row = &key;
        }
        if (row != nullptr) {
            apply(*row, node.items[i]);
        } else if (!other || !other(node.keys[i], node.items[i])) {
            std::vector<std::string> known;
            for (const Key<T>& key : table) known.emplace_back(key.info.name);
            report_unknown_key(context, node.keys[i], path, known);
        }
    }
    for (const Key<T>& key : table) {
        if (node.find(key.info.name) != nullptr) continue;
        if (key.info.required) {
            context.findings.error(node.at, join_path(path, key.info.name), "required, but missing");
        } else if (key.info.default_value) {
            apply(key, parse_default(*key.info.default_value, node.at));
        }
    }
    return context.findings.error_count() == errors_before;
}

/// The number, or the word, of a value that may be either.
Limit limit_of(const Value& value);

/// Which of `names` the map has.
std::vector<std::string> present(const Node& map, std::span<const std::string_view> names);

/// Why `name` cannot be a topic ("…"), or nullopt.
std::optional<std::string> refuse_topic_name(std::string_view name);

}  // namespace sluice::config
