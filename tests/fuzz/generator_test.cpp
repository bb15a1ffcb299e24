// Every target with the inputs that once broke it, with its corpus, and with what mutation makes of
// them for a few seconds. Needs no fuzzing engine, and so runs always.
//
// SLUICE_SEED repeats a run, SLUICE_FUZZ_SECONDS makes it longer. The input being tried is in
// <build>/tests/fuzz/<target>.input all along, whatever ends the process: copy it to
// crashes/<target>/ under a name that says what it did.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemon/base/log.hpp"
#include "tests/fuzz/mutate.hpp"
#include "tests/fuzz/targets.hpp"
#include "tests/property/invariants.hpp"

namespace sluice::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path source_dir = SLUICE_TEST_SOURCE_DIR;
constexpr double input_seconds_max = 1.0;
#ifdef SLUICE_SANITIZED
constexpr double slowdown = 10;
#else
constexpr double slowdown = 1;
#endif
constexpr long input_growth_kib_max = 256L << 10;

/// CPU time of this thread: a machine that does other things makes no input slow.
double seconds_used() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

long peak_kib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/// A file that always holds the input being tried: shared memory outlives a crash.
class Witness {
 public:
    explicit Witness(const std::string& target) {
        const fs::path folder = fs::path(SLUICE_TEST_BINARY_DIR) / "tests" / "fuzz";
        fs::create_directories(folder);
        path_ = folder / (target + ".input");
        file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        REQUIRE(file_ >= 0);
        REQUIRE(ftruncate(file_, size) == 0);
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
        REQUIRE(memory != MAP_FAILED);
        bytes_ = static_cast<char*>(memory);
    }
    ~Witness() {
        munmap(bytes_, size);
        ::close(file_);
    }
    Witness(const Witness&) = delete;
    Witness& operator=(const Witness&) = delete;

    /// Exact but for its tail: the length stands in the file's last eight bytes.
    void holds(std::string_view input) {
        const std::uint64_t length = input.size();
        std::memcpy(bytes_, input.data(), input.size());
        std::memcpy(bytes_ + size - sizeof length, &length, sizeof length);
    }
    /// The file alone with what it holds, for a person to keep.
    void keep(std::string_view input) const {
        std::ofstream(path_.string() + ".failed", std::ios::binary) << input;
    }
    [[nodiscard]] std::string failed_path() const { return path_.string() + ".failed"; }

 private:
    static constexpr std::size_t size = (1U << 20) + 4096;
    fs::path path_;
    int file_ = -1;
    char* bytes_ = nullptr;
};

std::string content_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void add_files(const fs::path& folder, std::vector<std::string>& inputs) {
    if (!fs::is_directory(folder)) return;
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() && entry.path().extension() != ".md") {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());  // one order everywhere, so that a seed repeats
    for (const fs::path& file : files)
        inputs.push_back(content_of(file));
}

/// False when the target broke: one such input is enough to look at.
bool try_input(const Target& target, const std::string& input, Witness& witness) {
    witness.holds(input);
    // A copy that ends where it ends, so that a sanitizer sees reads beyond it.
    const std::vector<std::uint8_t> bytes(input.begin(), input.end());
    const double begun = seconds_used();
    const long peak = peak_kib();
    std::string broken;
    try {
        target.run(bytes);
    } catch (const std::exception& thrown) {
        broken = thrown.what();
    }
    if (seconds_used() - begun > input_seconds_max * slowdown) broken = "took too long";
    if (peak_kib() - peak > input_growth_kib_max) broken = "took too much memory";
    if (broken.empty()) return true;
    witness.keep(input);
    FAIL_CHECK(target.name << ": " << broken << "; the input is in " << witness.failed_path());
    return false;
}

double budget() {
    const char* const given = std::getenv("SLUICE_FUZZ_SECONDS");
    return given != nullptr ? std::strtod(given, nullptr) : 2.5;
}

void run(std::string_view name) {
    // Refused requests are logged, one line each; nobody reads a million of them.
    log::set_level(log::Level::off);
    const auto found = std::find_if(targets().begin(), targets().end(),
                                    [&](const Target& target) { return target.name == name; });
    REQUIRE(found != targets().end());
    const Target& target = *found;
    Witness witness(target.name);

    std::vector<std::string> inputs;
    add_files(source_dir / "tests/fuzz/crashes" / target.name, inputs);
    add_files(source_dir / "tests/fuzz/corpus" / target.name, inputs);
    REQUIRE_MESSAGE(!inputs.empty(), "tests/fuzz/corpus/" << target.name << " is empty");
    if (name == "config") {
        add_files(source_dir / "conf", inputs);
        add_files(source_dir / "tests/unit/config/wrong", inputs);
    }
    bool holds = true;
    for (const std::string& input : inputs)
        holds = try_input(target, input, witness) && holds;

    Random random(plan::property::seed_of(target.name));
    std::size_t tried = 0;
    for (const double begun = seconds_used(); holds && seconds_used() - begun < budget(); ++tried) {
        holds = try_input(target, mutated(inputs, target.words, target.size_max, random), witness);
    }
    MESSAGE(target.name << ": " << inputs.size() << " inputs kept, " << tried << " made up");
    CHECK(holds);
}

}  // namespace

TEST_CASE("no YAML breaks the reader of configurations") {
    run("config");
}
TEST_CASE("no question breaks the planner as a pocket calculator") {
    run("what_if");
}
TEST_CASE("no bytes break the reader of checkpoints, and each value has one form") {
    run("checkpoint");
}
TEST_CASE("no table of a plugin breaks its reader") {
    run("plugin_table");
}
TEST_CASE("no file breaks the look at a plugin's file") {
    run("elf");
}
TEST_CASE("no request breaks the control server, which answers whole responses only") {
    run("http");
}
TEST_CASE("no record breaks the line or the headers of its dead letter") {
    run("dead_letter");
}

}  // namespace sluice::fuzz
