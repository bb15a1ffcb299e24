// From files to a configuration: read, merge, replace references, then section by section.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "daemon/base/secrets.hpp"
#include "daemon/config/references.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

/// The first directory of a list as systemd gives it ("/var/lib/sluice:/var/lib/other").
std::optional<std::filesystem::path> directory_from_env(const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    const std::string_view list = value;
    const std::filesystem::path first = list.substr(0, list.find(':'));
    if (!first.is_absolute()) return std::nullopt;
    return first;
}

std::filesystem::path absolute_of(const std::filesystem::path& path) {
    std::error_code code;
    const std::filesystem::path absolute = std::filesystem::absolute(path, code);
    std::string text = (code ? path : absolute).lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
}

/// The whole file, or nullopt and a finding. One byte more than allowed is read, for check_text.
std::optional<std::string> read_text(const std::filesystem::path& path, std::size_t file,
                                     Findings& findings) {
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    if (!stream) {
        findings.error({file, 0, 0}, {}, std::string("cannot be read: ") + std::strerror(errno));
        return std::nullopt;
    }
    std::string text(file_bytes_max + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad()) {
        findings.error({file, 0, 0}, {}, "cannot be read: input/output error");
        return std::nullopt;
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

/// The files of a directory that are configuration: *.yaml and *.yml, sorted, hidden ones left out.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory,
                                            Findings& findings) {
    std::vector<std::filesystem::path> files;
    std::error_code code;
    for (std::filesystem::directory_iterator entry(directory, code), end; !code && entry != end;
         entry.increment(code)) {
        const std::filesystem::path& path = entry->path();
        const bool is_yaml = path.extension() == ".yaml" || path.extension() == ".yml";
        if (is_yaml && !path.filename().string().starts_with('.')) files.push_back(path);
    }
    const std::size_t place = findings.add_file(directory.string(), directory);
    if (code) {
        findings.error({place, 0, 0}, {}, "cannot be read: " + code.message());
    } else if (files.empty()) {
        findings.error({place, 0, 0}, {}, "the directory has no *.yaml or *.yml file");
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// The tree of all files together: top-level keys merged, and the lists of pipelines beside it.
struct Merged {
    Node root;
    std::vector<Node> pipelines;  ///< the value of `pipelines`, one per file that has it
};

void merge(Node document, Merged& merged, Findings& findings) {
    for (std::size_t i = 0; i < document.keys.size(); ++i) {
        Node::Key& key = document.keys[i];
        if (key.name == "pipelines") {
            merged.pipelines.push_back(std::move(document.items[i]));
            continue;
        }
        const auto same = std::find_if(merged.root.keys.begin(), merged.root.keys.end(),
                                       [&](const Node::Key& other) { return other.name == key.name; });
        if (same != merged.root.keys.end()) {
            findings.error(key.at, key.name,
                           "already given in " + findings.file_name(same->at.file) + ":" +
                               std::to_string(same->at.line) + "; only pipelines add up");
            continue;
        }
        merged.root.keys.push_back(std::move(key));
        merged.root.items.push_back(std::move(document.items[i]));
    }
}

/// Takes one file's text into `merged`. An empty file is nothing in a directory, and wrong alone.
void take_text(std::string_view text, std::size_t file, bool is_alone, Merged& merged,
               Findings& findings) {
    auto document = parse_document(text, file, findings);
    if (!document) return;
    if (document->kind == Node::Kind::null) {
        if (is_alone) {
            findings.error({file, 0, 0}, {}, "is empty: a configuration has at least 'pipelines'");
        } else {
            findings.warning({file, 0, 0}, {}, "is empty");
        }
        return;
    }
    if (!document->is_map()) {
        findings.error(document->at, {}, "expected a map of keys at the top, got " +
                                             std::string(kind_phrase(*document)));
        return;
    }
    resolve_references(*document, {}, findings);
    merge(std::move(*document), merged, findings);
}

/// Reads all pipelines; those without a finding are complete.
std::vector<Placed> read_pipelines(Context& context, const Merged& merged) {
    std::vector<Placed> placed;
    for (const Node& list : merged.pipelines) {
        if (!list.is_list()) {
            if (!list.is_broken) {
                context.findings.error(list.at, "pipelines", "expected a list of pipelines, got " +
                                                                 std::string(kind_phrase(list)));
            }
            continue;
        }
        if (list.items.empty()) context.findings.error(list.at, "pipelines", "the list is empty");
        for (std::size_t i = 0; i < list.items.size(); ++i) {
            const Node& node = list.items[i];
            Placed one;
            one.node = &node;
            one.path = "pipelines[" + std::to_string(i) + "]";
            read_pipeline(context, node, one.path, one.pipeline);
            if (node.is_map()) placed.push_back(std::move(one));
        }
    }
    return placed;
}

void settle_paths(Context& context, const Node& root, Config& config) {
    if (context.options.data_dir) {
        config.data_dir = absolute_of(*context.options.data_dir);
    } else if (root.find("dataDir") == nullptr) {
        if (const auto state = directory_from_env("STATE_DIRECTORY")) config.data_dir = *state;
    }
    if (config.control_socket.empty()) {
        config.control_socket =
            directory_from_env("RUNTIME_DIRECTORY").value_or(config.data_dir) / "control.sock";
    }
    static constexpr std::size_t socket_path_max = 107;  // sun_path, with its NUL
    if (config.control_socket.string().size() > socket_path_max) {
        const Node* const node = root.find("controlSocket");
        context.findings.error(node == nullptr ? root.at : node->at, "controlSocket",
                               "the path of a Unix socket has at most 107 bytes; set a shorter one");
    }
    if (context.options.plugin_dir) config.plugin_dir = absolute_of(*context.options.plugin_dir);
}

void take_plugins(const Config& config, const Node& root, const PluginLoader& load_plugins,
                  sink::PluginDirectory& plugins, Findings& findings) {
    auto loaded = load_plugins(config.plugin_dir);
    if (loaded) {
        plugins = std::move(*loaded);
    } else {
        const Node* const node = root.find("pluginDir");
        findings.error(node == nullptr ? root.at : node->at, "pluginDir", loaded.error().message);
    }
}

Loaded finish(const Findings& findings, sink::PluginDirectory plugins) {
    Loaded loaded;
    loaded.findings = findings.sorted();
    loaded.plugins = std::move(plugins.plugins);
    return loaded;
}

Loaded load_merged(const Merged& merged, const LoadOptions& options,
                   const PluginLoader& load_plugins, Findings& findings) {
    Config config;
    sink::PluginDirectory plugins;
    Context context{findings, options, plugins, {}, {}};
    // Pipelines are read on their own below; here they are only missing, or not.
    Node root = merged.root;
    if (!merged.pipelines.empty()) {
        root.keys.push_back({"pipelines", merged.pipelines.front().at});
        root.items.emplace_back();
    }
    read_section(context, root, {}, top_keys(), config);
    settle_paths(context, root, config);
    context.data_dir = config.data_dir;
    take_plugins(config, root, load_plugins, plugins, findings);

    std::vector<Placed> placed = read_pipelines(context, merged);
    check_together(context, placed);
    if (findings.error_count() > 0) return finish(findings, std::move(plugins));

    for (Placed& one : placed) config.pipelines.push_back(std::move(one.pipeline));
    std::sort(context.secrets.begin(), context.secrets.end());
    context.secrets.erase(std::unique(context.secrets.begin(), context.secrets.end()),
                          context.secrets.end());
    config.secrets = std::move(context.secrets);
    secrets::keep(config.secrets);
    Loaded loaded = finish(findings, std::move(plugins));
    loaded.config = std::move(config);
    return loaded;
}

/// Nothing leaves this module by exception: not bad_alloc, nor what <filesystem> may throw.
template <class Work>
Loaded guarded(const std::string& name, Work work) {
    try {
        return work();
    } catch (const std::exception& error) {
        Loaded loaded;
        loaded.findings.push_back(
            {name, 0, 0, {}, std::string("cannot be read: ") + error.what(), true});
        return loaded;
    }
}

}  // namespace

Loaded load_text(std::string_view text, const std::filesystem::path& name, const LoadOptions& options,
                 const PluginLoader& load_plugins) {
    return guarded(name.string(), [&] {
        Findings findings;
        Merged merged;
        merged.root.kind = Node::Kind::map;
        const std::size_t file = findings.add_file(name.string(), absolute_of(name).parent_path());
        take_text(text, file, true, merged, findings);
        if (findings.error_count() > 0 && merged.root.keys.empty() && merged.pipelines.empty()) {
            return finish(findings, {});
        }
        return load_merged(merged, options, load_plugins, findings);
    });
}

Loaded load_with_plugins(const std::filesystem::path& path, const LoadOptions& options,
                         const PluginLoader& load_plugins) {
    return guarded(path.string(), [&] {
        Findings findings;
        Merged merged;
        merged.root.kind = Node::Kind::map;
        std::error_code code;
        const bool is_directory = std::filesystem::is_directory(path, code);
        const std::vector<std::filesystem::path> files =
            is_directory ? files_of(path, findings) : std::vector{path};
        for (const std::filesystem::path& each : files) {
            const std::size_t file =
                findings.add_file(each.string(), absolute_of(each).parent_path());
            if (const auto text = read_text(each, file, findings)) {
                take_text(*text, file, !is_directory, merged, findings);
            }
        }
        if (findings.error_count() > 0 && merged.root.keys.empty() && merged.pipelines.empty()) {
            return finish(findings, {});
        }
        return load_merged(merged, options, load_plugins, findings);
    });
}

std::filesystem::path default_path(const std::optional<std::filesystem::path>& flag) {
    if (flag) return *flag;
    const char* const from_env = std::getenv("SLUICE_CONFIG");
    if (from_env != nullptr && *from_env != '\0') return from_env;
    return "/etc/sluice/sluice.yaml";
}

Result<Credentials> resolve_again(const Source& source) {
    Credentials credentials;
    credentials.properties = source.kafka;
    for (const auto& [name, raw] : source.kafka_references) {
        auto resolved = resolve_references(raw);
        if (!resolved) {
            Error error = with_context("kafka." + name, std::move(resolved).error());
            error.retriable = true;
            return error;
        }
        credentials.properties.insert_or_assign(name, std::move(resolved->text));
        for (std::string& part : resolved->parts) {
            if (!part.empty()) credentials.secrets.push_back(std::move(part));
        }
    }
    secrets::keep(credentials.secrets);
    return credentials;
}

}  // namespace sluice::config
