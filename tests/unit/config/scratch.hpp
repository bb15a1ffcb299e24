#pragma once
// A directory for one test, gone at its end.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sluice::config::test {

class Scratch {
 public:
    Scratch() {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-config-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    ~Scratch() {
        std::error_code code;
        std::filesystem::remove_all(path_, code);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    std::filesystem::path write(const std::string& name, std::string_view text) const {
        const auto file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file;
    }

 private:
    std::filesystem::path path_;
};

}  // namespace sluice::config::test
