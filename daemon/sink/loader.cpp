// load_plugin() and load_plugins(): files, trust, dlopen. What is in a table is table.cpp's matter.

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/base/log.hpp"
#include "daemon/sink/elf.hpp"
#include "daemon/sink/plugin.hpp"
#include "daemon/sink/table.hpp"
#include "daemon/sink/wrong.hpp"

namespace sluice::sink {
namespace {

namespace fs = std::filesystem;

constexpr char symbol_v1[] = "sluice_sink_plugin_v1";

std::string text_of(int error_number) {
    return std::generic_category().message(error_number);
}

class FileDescriptor {
 public:
    explicit FileDescriptor(int value) noexcept : value_(value) {}
    ~FileDescriptor() {
        if (value_ >= 0) ::close(value_);
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return value_; }

 private:
    int value_;
};

/// A plugin runs with all the daemon's rights, so nobody else may be able to put one in its place.
Result<void> check_trust(const fs::path& path, const struct stat& status) {
    const bool is_directory = S_ISDIR(status.st_mode);
    const std::string what = is_directory ? "its directory " + path.string() : "it";
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        return wrong(what + " belongs to user " + std::to_string(status.st_uid) +
                     ", who could replace the code that the daemon runs: run `chown root " +
                     path.string() + "`");
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return wrong(what + " may be written by others than its owner: run `chmod go-w " +
                     path.string() + "`");
    }
    return {};
}

Result<void> check_directory_trust(const fs::path& directory) {
    struct stat status {};
    if (stat(directory.c_str(), &status) != 0) {
        return wrong("its directory " + directory.string() +
                     " cannot be looked at: " + text_of(errno));
    }
    return check_trust(directory, status);
}

/// dlerror()'s text without the file's name, which the caller adds, and with a remedy where we know
/// one.
std::string explained(std::string_view text, const fs::path& file) {
    const std::string prefix = file.string() + ": ";
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    const std::pair<std::string_view, std::string_view> remedies[] = {
        {"undefined symbol", "link the plugin with the library that has it"},
        {"cannot open shared object file", "install the library it names"},
        {"not found (required by", "the plugin was built on a newer system: build it on this one"},
        {"cannot be dlopen", "link the plugin without -z nodlopen"},
        {"failed to map segment", "is its file system mounted noexec?"}};
    for (const auto& [symptom, remedy] : remedies) {
        if (text.find(symptom) != std::string_view::npos) {
            return std::string(text) + ": " + std::string(remedy);
        }
    }
    return std::string(text);
}

std::string last_dl_error(const fs::path& file) {
    const char* const text = dlerror();
    return explained(text == nullptr ? "unknown error of the dynamic loader" : text, file);
}

Error missing_symbol(void* handle) {
    for (int version = 2; version < 10; ++version) {
        const std::string symbol = "sluice_sink_plugin_v" + std::to_string(version);
        if (dlsym(handle, symbol.c_str()) != nullptr) {
            return wrong(
                "it needs sink ABI " + std::to_string(version) +
                ", and this daemon (sluice " SLUICE_VERSION
                ") speaks 1: install a newer "
                "sluice, or build the plugin again with the sluice/sink.h of this version");
        }
    }
    return wrong(std::string("it is no sink plugin: it exports no ") + symbol_v1 +
                 "() (is it SLUICE_EXPORT, and extern \"C\" in C++?)");
}

/// Calls the one exported function. A variable of that name is not called.
Result<const sluice_sink_plugin*> table_of(void* handle) {
    void* const symbol = dlsym(handle, symbol_v1);
    if (symbol == nullptr) return missing_symbol(handle);
    Dl_info info{};
    void* entry = nullptr;
    if (dladdr1(symbol, &info, &entry, RTLD_DL_SYMENT) != 0 && entry != nullptr &&
        ELF64_ST_TYPE(static_cast<const ElfW(Sym)*>(entry)->st_info) != STT_FUNC) {
        return wrong(std::string("its ") + symbol_v1 +
                     " is not a function: declare it as sink.h does");
    }
    try {
        return reinterpret_cast<const sluice_sink_plugin* (*)()>(symbol)();
    } catch (...) {
        return wrong(std::string("its ") + symbol_v1 +
                     "() threw an exception: this is a bug in the plugin");
    }
}

/// Every file that was given to dlopen(). Safe for concurrent calls: load() holds the lock
/// throughout, since loading happens at start and reload only.
class Registry {
 public:
    /// `file` as the caller names it, `real` without symbolic links, `status` of the open
    /// descriptor.
    Result<std::shared_ptr<const Plugin>> load(const fs::path& file, const fs::path& real,
                                               const FileDescriptor& descriptor,
                                               const struct stat& status) {
        const std::lock_guard lock(mutex_);
        for (const Entry& entry : entries_) {
            const bool same_file = entry.device == status.st_dev && entry.inode == status.st_ino;
            if (same_file && entry.plugin) return named_as(file, entry.plugin);
            if (same_file || entry.real != real) continue;
            // The dynamic loader knows objects by their path, and would answer the old one.
            if (!entry.plugin) {
                return wrong(
                    "it was replaced after it had failed to load: restart the daemon to "
                    "load the new one");
            }
            log::warning("plugin file was replaced; the loaded one stays in use until a restart",
                         {{"plugin", entry.plugin->name()}, {"file", real.string()}});
            return named_as(file, entry.plugin);
        }
        SLUICE_CHECK(check_elf(descriptor.get()));
        void* const handle = dlopen(real.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) return wrong("it cannot be loaded: " + last_dl_error(real));
        Entry& entry = remember(real, status);
        SLUICE_TRY(const sluice_sink_plugin* const table, table_of(handle));
        SLUICE_TRY(entry.plugin, plugin_from_table(table, file.stem().string(), real));
        return entry.plugin;
    }

 private:
    struct Entry {
        dev_t device = 0;
        ino_t inode = 0;
        fs::path real;
        std::shared_ptr<const Plugin> plugin;  ///< null: dlopen() took it, its table was refused
    };

    Entry& remember(const fs::path& real, const struct stat& status) {
        for (Entry& entry : entries_) {
            if (entry.device == status.st_dev && entry.inode == status.st_ino) return entry;
        }
        return entries_.emplace_back(Entry{status.st_dev, status.st_ino, real, nullptr});
    }

    static Result<std::shared_ptr<const Plugin>> named_as(
        const fs::path& file, const std::shared_ptr<const Plugin>& plugin) {
        if (file.stem() == plugin->name()) return plugin;
        return wrong("it calls itself '" + plugin->name() + "': name it " + plugin->name() + ".so");
    }

    std::mutex mutex_;
    std::vector<Entry> entries_;
};

Registry& registry() {
    // Never destroyed: plugins live as long as the process, whatever is destroyed before them.
    static Registry* const instance = new Registry;
    return *instance;
}

Result<std::shared_ptr<const Plugin>> load(const fs::path& file) {
    // O_NONBLOCK: a pipe of that name must not hold up the daemon.
    const FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (descriptor.get() < 0) {
        if (errno == ENOENT) {
            return wrong("there is no such file: check the plugin's name and the plugin directory");
        }
        return wrong("it cannot be opened: " + text_of(errno));
    }
    struct stat status {};
    if (fstat(descriptor.get(), &status) != 0) return wrong("it cannot be read: " + text_of(errno));
    if (S_ISDIR(status.st_mode)) return wrong("it is a directory: name the .so file in it");
    if (!S_ISREG(status.st_mode)) return wrong("it is not a regular file: name a .so file");
    if (file.extension() != ".so") return wrong("its name does not end in .so: rename it");

    std::error_code error;
    const fs::path real = fs::canonical(file, error);
    if (error) return wrong("it cannot be found: " + error.message());
    SLUICE_CHECK(check_trust(real, status));
    SLUICE_CHECK(check_directory_trust(real.parent_path()));
    const fs::path named_in =
        fs::absolute(file, error).parent_path();  // where a link can be exchanged
    if (named_in != real.parent_path()) SLUICE_CHECK(check_directory_trust(named_in));
    return registry().load(file, real, descriptor, status);
}

}  // namespace

Result<std::shared_ptr<const Plugin>> load_plugin(const fs::path& file) {
    auto loaded = load(file);
    if (!loaded) return with_context("plugin " + file.string(), std::move(loaded).error());
    return loaded;
}

Result<PluginDirectory> load_plugins(const fs::path& directory) {
    const std::string context = "plugin directory " + directory.string();
    std::error_code error;
    if (!fs::is_directory(directory, error)) {
        return wrong(context +
                     (fs::exists(directory, error) ? " is not a directory" : " does not exist") +
                     ": set pluginDir or --plugin-dir to where the .so files are");
    }
    PluginDirectory found;
    fs::directory_iterator entry(directory, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const fs::path& file = entry->path();
        const std::string name = file.filename().string();
        if (file.extension() != ".so" || name.starts_with('.')) continue;
        auto plugin = load_plugin(file);
        if (plugin) {
            found.plugins.emplace((*plugin)->name(), *plugin);
        } else {
            found.broken.emplace(name, std::move(plugin).error());
        }
    }
    if (error) return wrong(context + " cannot be read: " + error.message());
    return found;
}

}  // namespace sluice::sink
