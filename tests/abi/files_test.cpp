// What the loader answers to files that are no plugins, or that nobody should trust.

#include <doctest/doctest.h>

#include <dlfcn.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "daemon/sink/plugin.hpp"

using namespace sluice;
using namespace sluice::sink;
namespace fs = std::filesystem;

namespace {

/// An empty directory that only we may write, gone at the end.
class TestDirectory {
 public:
    TestDirectory() : path_(fs::path(SLUICE_TEST_BINARY_DIR) / "tests" / "abi" / "files-XXXXXX") {
        std::string pattern = path_.string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
        chmod(path_.c_str(), 0755);
    }
    ~TestDirectory() { fs::remove_all(path_); }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;

    fs::path write(const std::string& name, std::string_view content) const {
        const fs::path file = path_ / name;
        std::ofstream(file, std::ios::binary) << content;
        chmod(file.c_str(), 0644);
        return file;
    }
    fs::path operator/(const char* name) const { return path_ / name; }
    const fs::path& path() const { return path_; }

 private:
    fs::path path_;
};

fs::path good_file() {
    return fs::path(SLUICE_TEST_PLUGIN_DIR) / "good.so";
}

std::string good_bytes() {
    std::ifstream in(good_file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The good plugin with one byte of its ELF header changed.
std::string good_but(std::size_t offset, unsigned char byte) {
    std::string bytes = good_bytes();
    bytes[offset] = static_cast<char>(byte);
    return bytes;
}

std::string refusal_of(const fs::path& file) {
    const auto plugin = load_plugin(file);
    REQUIRE_FALSE(plugin);
    CHECK(plugin.error().code == ErrorCode::configuration);
    return plugin.error().message;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

#define CHECK_CONTAINS(text, part)               \
    do {                                         \
        const std::string checked_text = (text); \
        CAPTURE(checked_text);                   \
        CHECK(contains(checked_text, part));     \
    } while (false)

}  // namespace

TEST_CASE("what is not a file with a plugin is refused by what it is") {
    const TestDirectory dir;
    CHECK_CONTAINS(refusal_of(dir / "missing.so"), "there is no such file");
    fs::create_directory(dir / "directory.so");
    CHECK_CONTAINS(refusal_of(dir / "directory.so"), "it is a directory");
    REQUIRE(mkfifo((dir / "pipe.so").c_str(), 0644) == 0);
    CHECK_CONTAINS(refusal_of(dir / "pipe.so"), "it is not a regular file");
    CHECK_CONTAINS(refusal_of(dir.write("good.dll", good_bytes())), "does not end in .so");
    CHECK_CONTAINS(refusal_of(dir.write("text.so", "INPUT(good.so)\n")), "no ELF header");
    CHECK_CONTAINS(refusal_of(dir.write("empty.so", "")), "no ELF header");
    fs::create_symlink("nowhere", dir / "dangling.so");
    CHECK_CONTAINS(refusal_of(dir / "dangling.so"), "there is no such file");
}

TEST_CASE("an ELF file that is no shared object for this machine is refused before it is mapped") {
    const TestDirectory dir;
    const std::size_t machine = offsetof(Elf64_Ehdr, e_machine);
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(machine, EM_AVR))),
                   "it is built for machine 83");
    const std::size_t type = offsetof(Elf64_Ehdr, e_type);
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(type, ET_EXEC))), "no shared object");
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(type, ET_REL))), "no shared object");
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(EI_CLASS, 9))), "another word size");
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(EI_DATA, ELFDATANONE))), "byte order");
    const std::size_t entry_size = offsetof(Elf64_Ehdr, e_phentsize);
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(entry_size, 1))),
                   "headers are damaged");
    CHECK_CONTAINS(refusal_of(dir.write("good.so", good_but(offsetof(Elf64_Ehdr, e_phnum), 0))),
                   "headers are damaged");
}

TEST_CASE("a plugin that was cut off is refused at every length, and never a crash") {
    const TestDirectory dir;
    const std::string bytes = good_bytes();
    for (std::size_t size = 4; size < bytes.size(); size += size < 1024 ? 7 : 509) {
        CAPTURE(size);
        CHECK_CONTAINS(refusal_of(dir.write("good.so", std::string_view(bytes).substr(0, size))),
                       "it is cut off");
    }
    // Without section headers (sstrip) the segments alone say it.
    std::string stripped = bytes;
    const std::size_t sections = offsetof(Elf64_Ehdr, e_shoff);
    stripped.replace(sections, sizeof(Elf64_Off), sizeof(Elf64_Off), '\0');
    for (const std::size_t size : {std::size_t{700}, std::size_t{5000}, std::size_t{9000}}) {
        CAPTURE(size);
        REQUIRE(size < bytes.size());
        CHECK_CONTAINS(refusal_of(dir.write("good.so", std::string_view(stripped).substr(0, size))),
                       "it is cut off");
    }
}

TEST_CASE("a file or directory that others may write is refused, with the command that mends it") {
    const TestDirectory dir;
    const fs::path file = dir.write("good.so", good_bytes());
    for (const mode_t mode : {0664U, 0646U, 0666U}) {
        chmod(file.c_str(), mode);
        CHECK_CONTAINS(refusal_of(file), "run `chmod go-w " + file.string() + '`');
    }
    chmod(file.c_str(), 0644);
    for (const mode_t mode : {0775U, 0757U, 01777U}) {
        chmod(dir.path().c_str(), mode);
        CHECK_CONTAINS(refusal_of(file), "run `chmod go-w " + dir.path().string() + '`');
    }
    chmod(dir.path().c_str(), 0755);
    CHECK(load_plugin(file));
}

TEST_CASE("a link is refused when others may put another one in its place") {
    const TestDirectory dir;
    fs::create_symlink(good_file(), dir / "good.so");
    chmod(dir.path().c_str(), 0777);
    CHECK_CONTAINS(refusal_of(dir / "good.so"), "run `chmod go-w " + dir.path().string() + '`');
    chmod(dir.path().c_str(), 0755);
    const auto linked = load_plugin(dir / "good.so");
    REQUIRE(linked);
    CHECK(linked->get() == load_plugin(good_file())->get());
}

TEST_CASE("what belongs to root is trusted, whoever we are") {
    // The C library: root's, in a directory of root's, a shared object, and no plugin.
    Dl_info library{};
    REQUIRE(dladdr(reinterpret_cast<const void*>(&std::abort), &library) != 0);
    const TestDirectory dir;
    fs::create_symlink(fs::canonical(library.dli_fname), dir / "libc.so");
    CHECK_CONTAINS(refusal_of(dir / "libc.so"), "it is no sink plugin");
}

TEST_CASE("a file or directory of another user is refused") {
    const TestDirectory dir;
    const fs::path file = dir.write("good.so", good_bytes());
    if (geteuid() == 0) {  // only root can give files away
        REQUIRE(chown(file.c_str(), 12345, static_cast<gid_t>(-1)) == 0);
        CHECK_CONTAINS(refusal_of(file), "it belongs to user 12345");
        REQUIRE(chown(file.c_str(), 0, static_cast<gid_t>(-1)) == 0);
        REQUIRE(chown(dir.path().c_str(), 12345, static_cast<gid_t>(-1)) == 0);
        CHECK_CONTAINS(refusal_of(file),
                       "its directory " + dir.path().string() + " belongs to user 12345");
        REQUIRE(chown(dir.path().c_str(), 0, static_cast<gid_t>(-1)) == 0);
    }
    CHECK(load_plugin(file));
}

TEST_CASE("a loaded file that goes by a second name is refused under that name") {
    const TestDirectory dir;
    REQUIRE(load_plugin(good_file()));
    fs::create_symlink(good_file(), dir / "better.so");
    CHECK_CONTAINS(refusal_of(dir / "better.so"), "name it good.so");
}

TEST_CASE("a file that is replaced after loading stays the loaded one") {
    const TestDirectory dir;
    const fs::path file = dir.write("good.so", good_bytes());
    const auto first = load_plugin(file);
    REQUIRE(first);
    fs::rename(dir.write("new.so", good_bytes()), file);
    const auto second = load_plugin(file);
    REQUIRE(second);
    CHECK(first->get() == second->get());
}

TEST_CASE("a file that is replaced after it was refused asks for a restart") {
    const TestDirectory dir;
    std::ifstream in(fs::path(SLUICE_TEST_PLUGIN_DIR) / "null_api.so", std::ios::binary);
    const std::string broken{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const fs::path file = dir.write("null_api.so", broken);
    CHECK_CONTAINS(refusal_of(file), "api is NULL");
    fs::rename(dir.write("new.so", good_bytes()), file);
    CHECK_CONTAINS(refusal_of(file), "restart the daemon");
}

TEST_CASE("a plugin directory that is none says where to name it") {
    const TestDirectory dir;
    const auto missing = load_plugins(dir / "missing");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::configuration);
    CHECK_CONTAINS(missing.error().message, "does not exist: set pluginDir or --plugin-dir");
    CHECK_CONTAINS(load_plugins(dir.write("file", "")).error().message, "is not a directory");
    REQUIRE(load_plugins(dir.path()));
    CHECK(load_plugins(dir.path())->plugins.empty());
}

TEST_CASE("load_plugins leaves aside what does not look like a plugin") {
    const TestDirectory dir;
    dir.write("README.md", "");
    dir.write(".good.so", "half copied");
    dir.write("libzstd.so.1", "");
    dir.write("text.so", "no ELF");
    const auto found = load_plugins(dir.path());
    REQUIRE(found);
    CHECK(found->plugins.empty());
    CHECK(found->broken.size() == 1);
    CHECK(found->broken.contains("text.so"));
}
