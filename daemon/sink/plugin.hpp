#pragma once
// Loading sink plugins: from a file to a checked table, from a table to an open sink.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/sink/sink.hpp"

namespace sluice::sink {

/// One option of a plugin, copied from its descriptor and checked (known type, default that parses).
struct Option {
    std::string name;
    std::int32_t type = SLUICE_OPTION_STRING;
    bool required = false;
    bool secret = false;
    std::optional<std::string> default_value;  ///< as it would stand in YAML
    std::vector<std::string> choices;
    std::string sentence;
    std::int64_t minimum = 0;
    std::int64_t maximum = 0;
};

/// Option name → value in the ABI's form (durations in ms, sizes in bytes, paths absolute), defaults
/// filled in. Made by config/ from YAML and a plugin's options.
using Settings = std::map<std::string, std::string>;

struct SinkContext {
    std::string pipeline;
    std::string cluster_id;
    std::uint64_t next_batch_id = 0;
    std::optional<std::string> receipt = std::nullopt;  ///< nullopt at the very first start
    std::uint64_t memory_max = 0;        ///< bytes that the sink may buffer; 0: nobody bounds it
    std::atomic<std::uint64_t>* memory_held = nullptr;  ///< where it says how many it does; outlives the sink
};

struct OpenReply {
    Reply reply;                 ///< reply.receipt is the initial receipt, empty when none
    std::unique_ptr<Sink> sink;  ///< set when reply.status is ok
};

/// A loaded plugin; lives until the process ends (no dlclose). Safe for concurrent calls.
class Plugin {
 public:
    virtual ~Plugin() = default;
    [[nodiscard]] virtual const std::string& name() const = 0;
    [[nodiscard]] virtual const std::string& version() const = 0;
    [[nodiscard]] virtual const std::string& sentence() const = 0;
    [[nodiscard]] virtual Guarantee guarantee() const = 0;  ///< with its defaults
    /// With these settings, some of which may cost part of it.
    [[nodiscard]] virtual Guarantee guarantee_with(const Settings&) const { return guarantee(); }
    [[nodiscard]] virtual bool ordered() const = 0;
    [[nodiscard]] virtual const std::vector<Option>& options() const = 0;
    [[nodiscard]] virtual const std::filesystem::path& file() const = 0;

    /// The plugin's own check of options that only make sense together. No side effects.
    [[nodiscard]] virtual Result<void> check(const std::string& pipeline,
                                             const Settings& settings) const = 0;

    /// What one pipeline alone may write to, as the plugin names it, without secrets; empty where it does not
    /// say. Asked when check() is content. Errors: `configuration`: a plugin that breaks sink.h.
    [[nodiscard]] virtual Result<std::string> target(const std::string& /*pipeline*/, const Settings&) const {
        return std::string();
    }

    /// `stopping` outlives the sink; the plugin may ask for it from any thread.
    [[nodiscard]] virtual OpenReply open(const SinkContext& context, const Settings& settings,
                                         const std::atomic<bool>& stopping) const = 0;
};

/// Loads one file: RTLD_NOW | RTLD_LOCAL, the symbol, the ABI version, every pointer and text checked.
/// A file or directory that others may write is refused. Errors: `configuration`, naming the file, what is wrong and
/// what to do; never a crash for a file that isn't a plugin, is older, newer, or broken.
/// Loading the same file again answers the same plugin.
Result<std::shared_ptr<const Plugin>> load_plugin(const std::filesystem::path& file);

/// The plugins of a directory, by name. Files that fail to load are listed with their error, so that
/// one broken plugin doesn't hide the others.
struct PluginDirectory {
    std::map<std::string, std::shared_ptr<const Plugin>> plugins;
    std::map<std::string, Error> broken;  ///< file name → why
};
Result<PluginDirectory> load_plugins(const std::filesystem::path& directory);

}  // namespace sluice::sink
