#include "plugins/file/append.hpp"

#include <algorithm>

#include "daemon/base/failpoint.hpp"
#include "plugins/file/crc32.hpp"
#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"

namespace sluice::plugins::file {
namespace {

std::string bytes(std::uint64_t count) { return std::to_string(count) + " bytes"; }

std::string extension_of(const std::string& file) { return file.substr(file.find('.')); }

}  // namespace

Append::Append(Output& output, const Options& options, Host host, std::uint64_t next_batch,
               const std::optional<Receipt>& receipt)
    : output_(output),
      options_(options),
      host_(host),
      wanted_file_(current_stem + extension(options.compression)) {
    receipt_.mode = Mode::append;
    receipt_.file = wanted_file_;
    if (receipt) {
        if (receipt->mode != Mode::append)
            throw Fatal("the checkpoint's receipt is of mode: parts, and " + output_.root().path() +
                        " is written with mode: append: give the sink another `path`");
        receipt_ = *receipt;
    }
    // With its manifest there, the next batch is committed and explains whatever is found.
    if (!output_.find_manifest(next_batch)) check(next_batch);
}

std::string Append::rolled_name(std::uint64_t last_batch) const {
    return padded_pair(receipt_.first_batch.value_or(last_batch), last_batch) +
           extension_of(receipt_.file);
}

std::uint32_t Append::tail_crc(const Fd& fd, std::uint64_t length) const {
    const std::uint64_t size = std::min(length, tail_size);
    const std::string tail = read_at(fd, length - size, static_cast<std::size_t>(size),
                                     output_.root().path_of(receipt_.file));
    return crc32(0, tail);
}

void Append::check(std::uint64_t next_batch) {
    const Directory& root = output_.root();
    const std::string path = root.path_of(receipt_.file);
    const std::string committed = "the checkpoint says " + bytes(receipt_.length);
    const bool attempted = output_.owner().newest_batch == next_batch;

    const auto fd = root.open_file(receipt_.file, false);
    if (!fd) {
        if (receipt_.length == 0) return;
        // Killed between rolling it (for another compression) and the receipt that says so?
        const std::string rolled = rolled_name(receipt_.batch.value_or(0));
        if (const auto there = root.info(rolled);
            there && there->inode == receipt_.inode && there->size == receipt_.length) {
            roll(rolled);
            return;
        }
        throw Fatal(path + " is missing, and " + committed +
                    ": put it back (was it moved, by logrotate perhaps? `rollSize` rolls it), or give "
                    "the sink another `path`");
    }
    const FileInfo there = info_of(*fd, path);
    if (there.size < receipt_.length)
        throw Fatal(path + " has " + bytes(there.size) + " and " + committed +
                    ": the output is older than the checkpoint, or was cut. Put it back, or give the "
                    "sink another `path`");
    if (there.size > receipt_.length && !attempted)
        throw Fatal(output_.older_checkpoint(path + " has " + bytes(there.size) + ", " + committed));
    if (receipt_.length == 0) return;
    if (tail_crc(*fd, receipt_.length) != receipt_.tail_crc32)
        throw Fatal(path + " is not the file that batch " +
                    std::to_string(receipt_.batch.value_or(0)) + " ended at " +
                    bytes(receipt_.length) + " (it has " + bytes(there.size) +
                    "): put that one back, or give the sink another `path`");
    if (there.inode != receipt_.inode) {
        host_.info(path + " has been copied since the last batch; its length and end are as they were");
        receipt_.inode = there.inode;
    }
}

void Append::cut(const Fd& fd, std::uint64_t batch, bool save) {
    const Directory& root = output_.root();
    const std::string path = root.path_of(receipt_.file);
    const std::uint64_t size = info_of(fd, path).size;
    if (size < receipt_.length)
        throw Fatal(path + " has " + bytes(size) + " and the checkpoint says " +
                    bytes(receipt_.length) + ": put it back, or give the sink another `path`");
    if (size == receipt_.length) return;
    if (output_.owner().newest_batch != batch)
        throw Fatal(path + " has " + bytes(size) + " where the last batch left " +
                    bytes(receipt_.length) + ", and batch " + std::to_string(batch) +
                    " has not written yet: something else writes to it. Restore it, or give the sink "
                    "another `path`");
    if (save) {
        const std::string saved = ".cut-" + std::to_string(batch);
        const std::string unfinished = saved + ".tmp";
        root.remove(unfinished);
        const Fd copy = root.create(unfinished);
        copy_range(fd, receipt_.length, path, copy, 0, root.path_of(unfinished),
                   size - receipt_.length);
        sync_data(copy, root.path_of(unfinished));
        root.remove(saved);  // of an attempt before: the same records
        (void)root.move(unfinished, root, saved);
        root.sync();
        failpoint("file.append.mid_cut");
        host_.warning(path + ": cut " + bytes(size - receipt_.length) + " behind " +
                      bytes(receipt_.length) + ", written by an attempt at batch " +
                      std::to_string(batch) + " that did not end; they are kept as " + saved);
    }
    truncate_to(fd, receipt_.length, path);
    sync_data(fd, path);
}

void Append::discard(std::uint64_t batch) {
    output_.drop_staging(batch);
    if (const auto fd = output_.root().open_file(receipt_.file, true)) cut(*fd, batch, true);
    if (receipt_.file == wanted_file_) return;
    // The compression was changed: what was written so far is closed as it is.
    if (receipt_.length != 0) {
        const std::string name = rolled_name(receipt_.batch.value_or(0));
        (void)output_.root().move(receipt_.file, output_.root(), name);
        roll(name);
    } else {
        output_.root().remove(receipt_.file);  // empty: cut to nothing
    }
    receipt_.file = wanted_file_;
}

void Append::abort(std::uint64_t batch) {
    // Before record_newest() nothing of the batch is in the file; what is there after it is ours
    // beyond doubt, written by this process a moment ago.
    const bool appended = output_.owner().newest_batch == batch;
    if (const auto fd = output_.root().open_file(receipt_.file, true); fd && appended)
        cut(*fd, batch, false);
    output_.drop_staging(batch);
}

/// Renames the file to `name` unless that is done, and notes it.
void Append::roll(const std::string& name) {
    const Directory& root = output_.root();
    if (root.move(receipt_.file, root, name) == Directory::Moved::target_exists)
        throw Fatal(root.path_of(name) + " is in the way of rolling " + receipt_.file +
                    ": move it away, and restart the pipeline");
    failpoint("file.append.mid_roll");
    root.sync();
    receipt_.file = wanted_file_;
    receipt_.inode = 0;
    receipt_.length = 0;
    receipt_.tail_crc32 = 0;
    receipt_.first_batch.reset();
    receipt_.rolled = name;
}

/// The file at its committed length, created when there is none.
Fd Append::open_current() {
    const Directory& root = output_.root();
    if (auto fd = root.open_file(receipt_.file, true)) {
        const FileInfo there = info_of(*fd, root.path_of(receipt_.file));
        if (there.size != receipt_.length)
            throw Fatal(root.path_of(receipt_.file) + " has " + bytes(there.size) +
                        " where the last batch left " + bytes(receipt_.length) +
                        ": something else writes to it. Restore it, or give the sink another `path`");
        return std::move(*fd);
    }
    if (receipt_.length != 0)
        throw Fatal(root.path_of(receipt_.file) + " is gone, and the last batch left " +
                    bytes(receipt_.length) + " in it: put it back, or give the sink another `path`");
    return root.create(receipt_.file);
}

void Append::append(const Fd& fd, std::uint64_t batch, const std::vector<PieceInfo>& pieces) {
    const std::string path = output_.root().path_of(receipt_.file);
    std::uint64_t at = receipt_.length;
    for (const PieceInfo& piece : pieces) {
        if (piece.staged.empty()) {
            std::size_t written = 0;
            write_all_at(fd, piece.content, at, path, written);
        } else {
            const Directory& staging = output_.staging(batch);
            const std::string from_path = staging.path_of(piece.staged);
            const auto from = staging.open_file(piece.staged, false);
            if (!from) throw Fatal(from_path + " is gone before its batch was committed");
            copy_range(*from, 0, from_path, fd, at, path, piece.bytes);
        }
        at += piece.bytes;
        failpoint("file.append.mid_write");
    }
    failpoint("file.append.after_write");
    failpoint("file.append.before_sync");
    sync_data(fd, path);
    failpoint("file.append.after_sync");
}

void Append::commit(std::uint64_t batch, const std::string& plan, std::vector<PieceInfo> pieces) {
    const std::uint64_t start = receipt_.length;
    std::uint64_t length = start;
    for (const PieceInfo& piece : pieces) length += piece.bytes;

    Manifest manifest;
    manifest.batch = batch;
    manifest.plan = plan;
    manifest.file = receipt_.file;
    manifest.start = start;
    manifest.length = length;
    manifest.receipt = receipt_;
    manifest.receipt.batch = batch;
    if (length == start) {
        output_.record_newest(batch, plan);  // gaps only: no byte, but a batch all the same
    } else {
        const Fd fd = open_current();
        // The root is synced by this too, and with it the name of a new file. Only now may bytes
        // appear: whoever finds them finds whose they are.
        output_.record_newest(batch, plan);
        failpoint("file.append.before_write");
        append(fd, batch, pieces);
        manifest.receipt.inode = info_of(fd, output_.root().path_of(receipt_.file)).inode;
        manifest.receipt.length = length;
        manifest.receipt.tail_crc32 = tail_crc(fd, length);
        if (start == 0) manifest.receipt.first_batch = batch;
    }
    if (options_.roll_size != 0 && length >= options_.roll_size) {
        const std::uint64_t first = manifest.receipt.first_batch.value_or(batch);
        manifest.roll_to = padded_pair(first, batch) + extension_of(receipt_.file);
        if (output_.root().info(manifest.roll_to))
            throw Fatal(output_.root().path_of(manifest.roll_to) + " is in the way of rolling " +
                        receipt_.file + ": move it away, and restart the pipeline");
        Receipt& after = manifest.receipt;
        after.inode = 0;
        after.length = 0;
        after.tail_crc32 = 0;
        after.first_batch.reset();
        after.rolled = manifest.roll_to;
    }
    manifest.pieces = std::move(pieces);
    output_.write_manifest(manifest);
    failpoint("file.append.after_manifest");
    finish(manifest);
}

void Append::finish(const Manifest& manifest) {
    const Directory& root = output_.root();
    const std::string& visible =
        manifest.roll_to.empty() || root.info(manifest.file) ? manifest.file : manifest.roll_to;
    const auto there = root.info(visible);
    if (manifest.length != 0 && (!there || there->size != manifest.length))
        throw Fatal(root.path_of(visible) + (there ? " has " + bytes(there->size) : " is missing") +
                    ", and the manifest of committed batch " + std::to_string(manifest.batch) +
                    " says " + bytes(manifest.length) +
                    ": put it back, or give the sink another `path`");
    receipt_.file = manifest.file;
    if (!manifest.roll_to.empty()) roll(manifest.roll_to);
    receipt_ = manifest.receipt;
    output_.drop_staging(manifest.batch);
    output_.prune_manifests(manifest.batch);
}

}  // namespace sluice::plugins::file
