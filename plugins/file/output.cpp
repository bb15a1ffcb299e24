#include "plugins/file/output.hpp"

#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"

namespace sluice::plugins::file {
namespace {

std::string name_of(Mode mode) { return mode == Mode::append ? "append" : "parts"; }

}  // namespace

Output::Output(const Options& options, const Config& config, const std::optional<Receipt>& receipt)
    : options_(options), root_(Directory::open_path(options.path, options.modes)) {
    if (!root_.lock())
        throw Retry(root_.path() + " is in use by another sluice process: end that one, or give one "
                                   "of them another `path`");
    check_owner(config, receipt);
    (void)root_.ensure(manifests_directory);
    drop_old_staging(config.next_batch_id);
}

void Output::check_owner(const Config& config, const std::optional<Receipt>& receipt) {
    const std::string where = root_.path_of(owner_file);
    const auto text = root_.read(owner_file);
    if (!text) {
        if (receipt && receipt->batch)
            throw Fatal(where + " is missing, although batch " + std::to_string(*receipt->batch) +
                        " was written there: is the file system mounted? Put the directory back as "
                        "it was, or give the sink another `path` to start anew");
        owner_ = {std::string(config.pipeline), std::string(config.cluster_id), options_.mode, {}, {}};
        root_.sync_ancestors();
        root_.replace(owner_file, to_json(owner_));
        return;
    }
    owner_ = parse_owner(*text, where);
    if (owner_.pipeline != config.pipeline || owner_.cluster_id != config.cluster_id)
        throw Fatal(root_.path() + " belongs to pipeline '" + owner_.pipeline + "' of cluster '" +
                    owner_.cluster_id + "', and this is pipeline '" + std::string(config.pipeline) +
                    "' of cluster '" + std::string(config.cluster_id) +
                    "': give the sink another `path`; if the pipeline was only renamed, correct "
                    "\"pipeline\" in " + where);
    if (owner_.mode != options_.mode)
        throw Fatal(root_.path() + " was written with mode: " + name_of(owner_.mode) +
                    " and cannot go on with mode: " + name_of(options_.mode) +
                    ": give the sink another `path`");
    if (owner_.newest_batch && *owner_.newest_batch > config.next_batch_id)
        throw Fatal(older_checkpoint("it has seen batch " + std::to_string(*owner_.newest_batch) +
                                     ", the checkpoint's next one is " +
                                     std::to_string(config.next_batch_id)));
    if (receipt && receipt->batch &&
        (!owner_.newest_batch || *owner_.newest_batch < *receipt->batch))
        throw Fatal("the output is older than the checkpoint: batch " +
                    std::to_string(*receipt->batch) + " is committed, and " + root_.path() +
                    " has seen " +
                    (owner_.newest_batch ? "only " + std::to_string(*owner_.newest_batch)
                                         : std::string("none")) +
                    ": put the newer output back, or give the sink another `path`");
}

void Output::drop_old_staging(std::uint64_t next_batch_id) const {
    for (const std::string& name : root_.names()) {
        std::uint64_t batch = 0;
        // That of the next batch is begin()'s to look at. An older one was given up for good.
        if (parse_staging_name(name, batch) && batch < next_batch_id) root_.remove_tree(name);
    }
}

std::string Output::older_checkpoint(const std::string& details) const {
    return "the checkpoint is older than the output in " + root_.path() + ": " + details +
           "; put back the checkpoint that belongs to this output, or give the sink another `path`";
}

void Output::check_not_newer(std::uint64_t batch, const std::string& plan) const {
    if (!owner_.newest_batch) return;
    if (*owner_.newest_batch > batch)
        throw Fatal(older_checkpoint("it has seen batch " + std::to_string(*owner_.newest_batch) +
                                     ", and batch " + std::to_string(batch) + " was asked for"));
    if (*owner_.newest_batch == batch && owner_.newest_plan != plan)
        throw Fatal(older_checkpoint("batch " + std::to_string(batch) +
                                     " was begun there before, with other ranges"));
}

void Output::record_newest(std::uint64_t batch, const std::string& plan) {
    Owner changed = owner_;
    changed.newest_batch = batch;
    changed.newest_plan = plan;
    root_.replace(owner_file, to_json(changed));
    owner_ = std::move(changed);
}

std::optional<Manifest> Output::find_manifest(std::uint64_t batch) const {
    const Directory manifests = root_.ensure(manifests_directory);
    const std::string name = manifest_name(batch);
    const auto text = manifests.read(name);
    if (!text) return std::nullopt;
    manifests.sync();  // its writer may have died before it did
    return parse_manifest(*text, manifests.path_of(name));
}

void Output::write_manifest(const Manifest& manifest) const {
    root_.ensure(manifests_directory).replace(manifest_name(manifest.batch), to_json(manifest));
}

void Output::prune_manifests(std::uint64_t batch) const {
    if (options_.keep_manifests == 0 || batch < options_.keep_manifests) return;
    // One at a time: ids ascend. Where the option was lowered, the older ones stay for the operator.
    root_.ensure(manifests_directory).remove(manifest_name(batch - options_.keep_manifests));
}

const Directory& Output::staging(std::uint64_t batch) {
    const std::lock_guard lock(staging_mutex_);
    if (!staging_) staging_ = root_.ensure(staging_name(batch), false);
    return *staging_;
}

void Output::drop_staging(std::uint64_t batch) {
    const std::lock_guard lock(staging_mutex_);
    staging_.reset();
    root_.remove_tree(staging_name(batch));
}

std::optional<Directory> Output::find_staging(std::uint64_t batch) const {
    return root_.find(staging_name(batch));
}

}  // namespace sluice::plugins::file
