#include "daemon/sink/elf.hpp"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "daemon/base/text.hpp"
#include "tests/fuzz/targets.hpp"

namespace sluice::fuzz {
namespace {

/// In memory, so that millions of files cost no disk.
int file_of(Bytes bytes) {
    static const int file = memfd_create("sluice-fuzz-elf", MFD_CLOEXEC);
    const bool written = ftruncate(file, 0) == 0 && pwrite(file, bytes.data(), bytes.size(), 0) ==
                                                        static_cast<ssize_t>(bytes.size());
    if (!written) throw Broken("no memory file: the machine's fault");
    return file;
}

/// What dlopen() maps must be in the file, or it dies of SIGBUS.
void check_whole(Bytes bytes) {
    ElfW(Ehdr) header{};
    require(bytes.size() >= sizeof header, "a file that is taken has a header");
    std::memcpy(&header, bytes.data(), sizeof header);
    require(header.e_type == ET_DYN, "a file that is taken is a shared object");
    bool is_dynamic = false;
    for (std::size_t i = 0; i < header.e_phnum; ++i) {
        ElfW(Phdr) segment{};
        const std::size_t at = header.e_phoff + i * sizeof segment;
        require(header.e_phoff <= bytes.size() && at + sizeof segment <= bytes.size(),
                "the program headers of a file that is taken are in it");
        std::memcpy(&segment, bytes.data() + at, sizeof segment);
        is_dynamic = is_dynamic || segment.p_type == PT_DYNAMIC;
        if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
        require(
            segment.p_offset <= bytes.size() && segment.p_filesz <= bytes.size() - segment.p_offset,
            "the segments of a file that is taken are in it");
    }
    require(is_dynamic, "a file that is taken can be linked");
}

}  // namespace

void fuzz_elf(Bytes bytes) {
    const auto checked = sink::check_elf(file_of(bytes));
    if (checked) return check_whole(bytes);
    require(checked.error().code == ErrorCode::configuration, "it is the file's fault");
    require(is_valid_utf8(checked.error().message), "an error is UTF-8");
    require(checked.error().message.find("cannot be read") == std::string::npos,
            "a file that can be read is not said to be unreadable");
}

}  // namespace sluice::fuzz
