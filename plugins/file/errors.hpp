#pragma once
// A failed system call as an exception that tells the operator what to do. The boundary (sink.hpp)
// turns Retry into SLUICE_RETRY and everything else into SLUICE_FATAL.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "sluice/sink.hpp"

namespace sluice::plugins::file {

/// A person has to look.
class Fatal : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

/// Throws for `error` (an errno) of "cannot `action` `path`".
/// Retry: what may pass by itself or by making room: ENOSPC, EDQUOT, EFBIG, too many open files, no
///        memory, a network file system that is away. With `wanted` bytes the text says how many were
///        wanted and how many are free.
/// Fatal: all else; EROFS names `ReadWritePaths=`, EACCES the user, ELOOP the symbolic link.
[[noreturn]] void throw_io(int error, std::string_view action, const std::string& path,
                           std::uint64_t wanted = 0);

}  // namespace sluice::plugins::file
