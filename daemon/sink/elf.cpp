#include "daemon/sink/elf.hpp"
#include "daemon/sink/wrong.hpp"

#include <elf.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

namespace sluice::sink {
namespace {

constexpr std::uint16_t our_machine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__i386__)
    EM_386;
#elif defined(__aarch64__)
    EM_AARCH64;
#elif defined(__arm__)
    EM_ARM;
#elif defined(__riscv)
    EM_RISCV;
#elif defined(__powerpc64__)
    EM_PPC64;
#elif defined(__s390__)
    EM_S390;
#else
    EM_NONE;  // not compared; dlopen() does
#endif

constexpr unsigned char our_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char our_data =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

std::string machine_name(std::uint16_t machine) {
    switch (machine) {
        case EM_X86_64:
            return "x86-64";
        case EM_386:
            return "i386";
        case EM_AARCH64:
            return "aarch64";
        case EM_ARM:
            return "arm";
        case EM_RISCV:
            return "riscv";
        case EM_PPC64:
            return "ppc64";
        case EM_S390:
            return "s390";
        default:
            return "machine " + std::to_string(machine);
    }
}

Error truncated() {
    return wrong("it is cut off: copy or build it again");
}

/// Exactly `size` bytes at `offset`; false when the file has fewer.
Result<bool> read_at(int descriptor, void* target, std::size_t size, std::uint64_t offset) {
    auto* at = static_cast<unsigned char*>(target);
    while (size > 0) {
        const ssize_t got = pread(descriptor, at, size, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return wrong("cannot be read: " + std::generic_category().message(errno));
        if (got == 0) return false;
        at += got;
        offset += static_cast<std::uint64_t>(got);
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

bool within(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size) {
    return offset <= file_size && size <= file_size - offset;
}

}  // namespace

Result<void> check_elf(int descriptor) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) {
        return wrong("cannot be read: " + std::generic_category().message(errno));
    }
    const auto file_size = static_cast<std::uint64_t>(status.st_size);

    unsigned char ident[EI_NIDENT] = {};
    SLUICE_TRY(const bool has_ident, read_at(descriptor, ident, sizeof ident, 0));
    if (std::memcmp(ident, ELFMAG, SELFMAG) != 0) {
        return wrong("it is not a shared object (no ELF header): name the .so that was built");
    }
    if (!has_ident) return truncated();
    if (ident[EI_CLASS] != our_class || ident[EI_DATA] != our_data) {
        return wrong("it is built for a machine of another word size or byte order: build it for " +
                     machine_name(our_machine));
    }

    ElfW(Ehdr) header{};
    SLUICE_TRY(const bool has_header, read_at(descriptor, &header, sizeof header, 0));
    if (!has_header) return truncated();
    if (our_machine != EM_NONE && header.e_machine != our_machine) {
        return wrong("it is built for " + machine_name(header.e_machine) +
                     ", and this daemon for " + machine_name(our_machine) + ": build it for " +
                     machine_name(our_machine));
    }
    if (header.e_type != ET_DYN) {
        return wrong(
            "it is an ELF file, but no shared object: link it with -shared "
            "(sluice_add_sink does)");
    }
    // Section headers are not needed to load it, but they stand at the end: a cheap test for the
    // whole.
    if (header.e_shoff != 0 &&
        !within(header.e_shoff, std::uint64_t{header.e_shentsize} * header.e_shnum, file_size)) {
        return truncated();
    }
    if (header.e_phnum == 0 || header.e_phentsize != sizeof(ElfW(Phdr))) {
        return wrong("its program headers are damaged: copy or build it again");
    }
    // Before it is read: the system knows no offset above 2^63-1, and calls one a wrong argument.
    if (!within(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(ElfW(Phdr)), file_size)) {
        return truncated();
    }
    std::vector<ElfW(Phdr)> segments(header.e_phnum);
    SLUICE_TRY(
        const bool has_segments,
        read_at(descriptor, segments.data(), segments.size() * sizeof(ElfW(Phdr)), header.e_phoff));
    if (!has_segments) return truncated();
    bool is_dynamic = false;
    for (const auto& segment : segments) {
        if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
        if (!within(segment.p_offset, segment.p_filesz, file_size)) return truncated();
        is_dynamic = is_dynamic || segment.p_type == PT_DYNAMIC;
    }
    if (!is_dynamic) {
        return wrong("it has no dynamic section: link it with -shared (sluice_add_sink does)");
    }
    return {};
}

}  // namespace sluice::sink
