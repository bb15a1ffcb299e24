#include "checkpoints/log_check.hpp"

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "checkpoints/disk_errors.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/text.hpp"

namespace sluice::checkpoints {
namespace {

namespace fs = std::filesystem;

// The format of LevelDB's log_format.h, which RocksDB kept: CRC-32C (masked, little-endian), length
// (2 bytes), type, payload; a record never crosses a block, an entry is cut into fragments instead.
constexpr std::size_t block_bytes = 32768;
constexpr std::size_t header_bytes = 7;
enum Type : unsigned char { zero = 0, full = 1, first = 2 };

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = size; i-- > 0;) {
        value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    }
    return value;
}

enum class Found { record, cut, zeros, garbage };
struct Record {
    Found found = Found::garbage;
    unsigned char type = 0;
    std::size_t end = 0;
};

/// The record at `at`, which has room for a header in its block.
Record record_at(std::string_view log, std::size_t at) {
    Record record;
    const std::size_t block_end = (at / block_bytes + 1) * block_bytes;
    if (at + header_bytes > log.size()) return {Found::cut, 0, log.size()};
    const std::size_t length = number_at(log, at + 4, 2);
    record.type = static_cast<unsigned char>(log[at + 6]);
    record.end = at + header_bytes + length;
    if (record.type == zero && length == 0 && number_at(log, at, 4) == 0) {
        return {Found::zeros, zero, std::min(block_end, log.size())};
    }
    if (record.end > block_end) return record;
    if (record.end > log.size()) return {Found::cut, record.type, log.size()};
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(log.data() + at + 6, length + 1);
    const auto sum = static_cast<std::uint32_t>(crc.checksum());
    const std::uint32_t masked = ((sum >> 15) | (sum << 17)) + 0xA282EAD8U;
    if (masked == number_at(log, at, 4)) record.found = Found::record;
    return record;
}

std::size_t skip_trailer(std::size_t at) {
    const std::size_t left = block_bytes - at % block_bytes;
    return left < header_bytes ? at + left : at;
}

bool begins_entry(const Record& record) {
    return record.found == Found::record && (record.type == full || record.type == first);
}

/// Whether a whole record that begins an entry lies behind `at`. Fragments alone prove nothing: pages
/// of one torn write reach the disk in any order.
bool entry_behind(std::string_view log, std::size_t at) {
    const std::size_t block_end = std::min((at / block_bytes + 1) * block_bytes, log.size());
    for (std::size_t probe = at + 1; probe + header_bytes <= block_end; ++probe) {
        if (begins_entry(record_at(log, probe))) return true;
    }
    for (std::size_t block = block_end; block < log.size(); block += block_bytes) {
        for (std::size_t next = block; next < std::min(block + block_bytes, log.size());) {
            const Record record = record_at(log, next);
            if (begins_entry(record)) return true;
            if (record.found != Found::record) break;
            next = skip_trailer(record.end);
        }
    }
    return false;
}

struct Log {
    fs::path path;
    std::int64_t number = 0;
};

std::vector<Log> logs_in(const fs::path& directory, std::error_code& error) {
    std::vector<Log> logs;
    for (const fs::directory_entry& file : fs::directory_iterator(directory, error)) {
        if (file.path().extension() != ".log") continue;
        if (const auto number = parse_int64(file.path().stem().string())) {
            logs.push_back({file.path(), *number});
        }
    }
    std::sort(logs.begin(), logs.end(),
              [](const Log& a, const Log& b) { return a.number < b.number; });
    return logs;
}

}  // namespace

std::optional<LogFault> find_fault(std::string_view log) {
    std::size_t at = 0;
    while (at < log.size()) {
        const Record record = record_at(log, at);
        if (record.found == Found::record) {
            at = skip_trailer(record.end);
            continue;
        }
        // A flipped length may reach past the end too, and look like a cut.
        if (record.found == Found::cut) {
            const bool entries_follow = entry_behind(log, at);
            return LogFault{at, !entries_follow, entries_follow};
        }
        // Zeros up to the end are space that was never written.
        const bool only_zeros = record.found == Found::zeros &&
                                log.find_first_not_of('\0', at) == std::string_view::npos;
        if (only_zeros) return std::nullopt;
        return LogFault{at, false, entry_behind(log, at)};
    }
    return std::nullopt;
}

Result<void> check_logs(const fs::path& directory) {
    std::error_code error;
    const std::vector<Log> logs = logs_in(directory, error);
    if (error) return disk_error(directory, "list the checkpoints", error.value());
    std::optional<std::string> suspect;  // a fault at the end of a log, while a later one has entries
    for (const Log& wal : logs) {
        errno = 0;
        std::ifstream file(wal.path, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (!file.is_open() || file.bad()) {
            return disk_error(wal.path, "read the write-ahead log", errno != 0 ? errno : EIO);
        }
        const auto fault = find_fault(bytes);
        if (suspect && (!fault || fault->at > 0) && !bytes.empty()) {
            return damaged(directory, *suspect + ", and entries follow in " +
                                          wal.path.filename().string());
        }
        if (!fault) continue;
        const std::string where = wal.path.filename().string() + " is not readable from byte " +
                                  std::to_string(fault->at) + " of " + std::to_string(bytes.size());
        if (fault->entries_follow) return damaged(directory, where + ", and entries follow");
        if (!fault->cut) suspect = where;
        log::warning("a write that was cut off by a crash is dropped; it was never acknowledged",
                     {{"file", wal.path.string()}, {"byte", fault->at}});
    }
    return {};
}

}  // namespace sluice::checkpoints
