#include "plugins/file/parts.hpp"

#include <map>
#include <utility>

#include "daemon/base/failpoint.hpp"
#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"

namespace sluice::plugins::file {
namespace {

/// The pieces of each partition together, so that its directory is opened and synced once.
std::map<std::pair<std::string, std::int32_t>, std::vector<const PieceInfo*>> by_partition(
    const std::vector<PieceInfo>& pieces) {
    std::map<std::pair<std::string, std::int32_t>, std::vector<const PieceInfo*>> groups;
    for (const PieceInfo& piece : pieces) groups[{piece.topic, piece.partition}].push_back(&piece);
    return groups;
}

[[noreturn]] void throw_in_the_way(const std::string& path, std::uint64_t batch) {
    throw Fatal(path + " is there already and is not of batch " + std::to_string(batch) +
                ": move it away (after `offsets reset` or a re-created topic, the files of the first "
                "reading), and restart the pipeline");
}

}  // namespace

Parts::Parts(Output& output, const std::optional<Receipt>& receipt) : output_(output) {
    if (receipt) receipt_.batch = receipt->batch;
}

Directory Parts::partition_of(const PieceInfo& piece) {
    const std::string name = topic_directory(piece.topic);
    const Directory topic = output_.root().ensure(name);
    Directory partition = topic.ensure(partition_directory(piece.partition));
    // Once per process: a predecessor may have been killed between a mkdir and its fsync. The root is
    // synced with every batch.
    if (durable_topics_.insert(name).second) topic.sync();
    return partition;
}

void Parts::commit(std::uint64_t batch, const std::string& plan, std::vector<PieceInfo> pieces) {
    failpoint("file.commit.before_fsync");
    if (!pieces.empty()) output_.staging(batch).sync();
    // Whatever can be refused is refused before the manifest: after it there is no way back.
    for (const auto& [key, group] : by_partition(pieces)) {
        const Directory partition = partition_of(*group.front());
        for (const PieceInfo* piece : group)
            if (partition.info(piece->name)) throw_in_the_way(partition.path_of(piece->name), batch);
    }
    output_.record_newest(batch, plan);
    failpoint("file.commit.before_manifest");

    Manifest manifest;
    manifest.batch = batch;
    manifest.plan = plan;
    manifest.receipt.mode = Mode::parts;
    manifest.receipt.batch = batch;
    manifest.pieces = std::move(pieces);
    output_.write_manifest(manifest);
    failpoint("file.commit.after_manifest");
    finish(manifest);
}

void Parts::finish(const Manifest& manifest) {
    const auto staging = output_.find_staging(manifest.batch);
    for (const auto& [key, group] : by_partition(manifest.pieces)) {
        const Directory partition = partition_of(*group.front());
        for (const PieceInfo* piece : group) {
            const auto moved = staging ? staging->move(piece->staged, partition, piece->name)
                                       : Directory::Moved::source_missing;
            if (moved == Directory::Moved::target_exists)
                throw_in_the_way(partition.path_of(piece->name), manifest.batch);
            if (moved == Directory::Moved::source_missing) {
                const auto there = partition.info(piece->name);
                if (!there || there->size != piece->bytes)
                    throw Fatal(partition.path_of(piece->name) + " of committed batch " +
                                std::to_string(manifest.batch) +
                                (there ? " has " + std::to_string(there->size) + " bytes"
                                       : std::string(" is missing")) +
                                ", its manifest says " + std::to_string(piece->bytes) +
                                " bytes: put it back, or give the sink another `path`");
            }
            failpoint("file.commit.mid_rename");
        }
        partition.sync();
    }
    failpoint("file.commit.after_rename");
    receipt_ = manifest.receipt;
    output_.drop_staging(manifest.batch);
    output_.prune_manifests(manifest.batch);
}

}  // namespace sluice::plugins::file
