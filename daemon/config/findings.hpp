#pragma once
// Everything wrong in a configuration, collected instead of thrown: a person fixes all of it at once.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"

namespace sluice::config {

/// A place in one of the files read; line and column count from 1, 0 means the file as a whole.
struct Position {
    std::size_t file = 0;
    int line = 0;
    int column = 0;
};

/// Collects findings. Confined to one thread.
class Findings {
 public:
    /// `directory` is what relative paths inside the file are relative to. Returns the file's index.
    std::size_t add_file(std::string name, std::filesystem::path directory);

    /// Control characters in `path` and `message` are replaced, and both are cut at their bounds.
    void error(const Position& at, std::string_view path, std::string_view message);
    void warning(const Position& at, std::string_view path, std::string_view message);

    [[nodiscard]] std::size_t error_count() const { return errors_; }
    /// Whether the value at `path`, or one inside it, was refused, so that what was read there means nothing.
    [[nodiscard]] bool has_error_in(std::string_view path) const;
    [[nodiscard]] const std::string& file_name(std::size_t file) const { return files_[file].name; }
    [[nodiscard]] const std::filesystem::path& directory(std::size_t file) const {
        return files_[file].directory;
    }

    /// All findings in the order of the files; at most `findings_max`, then one that counts the rest.
    [[nodiscard]] std::vector<Finding> sorted() const;

    static constexpr std::size_t findings_max = 200;
    static constexpr std::size_t path_bytes_max = 256;
    static constexpr std::size_t message_bytes_max = 2048;

 private:
    struct File {
        std::string name;
        std::filesystem::path directory;
    };
    struct Entry {
        Position at;
        Finding finding;
    };
    void add(const Position& at, std::string_view path, std::string_view message, bool is_error);

    std::vector<File> files_;
    std::vector<Entry> entries_;
    std::size_t errors_ = 0;
    std::size_t left_out_ = 0;
};

/// "pipelines[0]" + "name" = "pipelines[0].name"; at the top the key alone.
std::string join_path(const std::string& path, std::string_view key);

}  // namespace sluice::config
