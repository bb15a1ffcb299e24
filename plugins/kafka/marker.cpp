#include "plugins/kafka/marker.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace sluice::plugins::kafka {
namespace {

/// FNV-1a: the same on every machine and with every library.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037U;
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    return hash;
}

std::optional<boost::json::object> object_of(std::string_view json) {
    boost::json::error_code error;
    boost::json::value document =
        boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
    if (error || !document.is_object()) return std::nullopt;
    return std::move(document.get_object());
}

std::optional<std::string> text_in(const boost::json::object& object, const char* key) {
    const auto* const found = object.if_contains(key);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return std::string(found->get_string().data(), found->get_string().size());
}

std::optional<std::int64_t> number_in(const boost::json::object& object, const char* key) {
    const auto* const found = object.if_contains(key);
    if (found == nullptr || !found->is_int64()) return std::nullopt;
    return found->get_int64();
}

std::string number(std::int64_t value) {
    return std::to_string(value);
}

/// What to do when the person knows better.
std::string regardless(std::string_view group) {
    return " To go on regardless, delete the marker: kafka-consumer-groups.sh --delete --group " +
           std::string(group);
}

/// Advice that ends with a new id ends with this: the marker stays behind in the group of the old one.
constexpr const char* new_id =
    "another transactionalId. A batch that was begun under the old one may be there already, so it stops "
    "once more: see missingMarker";

Verdict stop(std::string why) {
    return {Verdict::stop, std::move(why)};
}

/// The batch is not known to be there, nor not to be: `why` stops it, unless the option says otherwise.
Verdict unless_run(const Situation& s, std::string why) {
    if (!s.run_without_marker) return stop(std::move(why));
    return {Verdict::renew_and_write, "batch " + number(s.batch) +
                                          " is written without knowing whether it is there already "
                                          "(missingMarker: run)"};
}

/// What was committed under another id has its marker in a group that is not looked at.
bool is_of_another_id(const Situation& s) {
    return !s.receipt.transactional_id.empty() && s.receipt.transactional_id != s.transactional_id;
}

Verdict judge_another_id(const Situation& s) {
    const std::string& old = s.receipt.transactional_id;
    return unless_run(s, "batch " + number(s.batch) + " may have been committed under transactionalId " + old +
                             ", and this is " + s.transactional_id + ": set transactionalId: " + old +
                             " until the batch is finished, then change it. Where that can't be, look for its "
                             "records (`sluice batches show`): if they are not there, or may come twice, set "
                             "missingMarker: run for one start");
}

Verdict judge_missing(const Situation& s, std::string_view group) {
    const std::string gone = "group " + std::string(group) +
                             " of the target cluster has no marker of batch " +
                             number(s.receipt.batch) + ", which the checkpoint says was committed";
    if (!s.may_be_there || s.is_new_target) {
        const bool expected = s.receipt.batch == no_batch || s.is_new_target || is_of_another_id(s);
        return {Verdict::renew_and_write,
                expected ? ""
                         : gone +
                               ": forgotten after offsets.retention.minutes, or deleted. It is "
                               "written again"};
    }
    if (is_of_another_id(s)) return judge_another_id(s);
    // Whatever was committed was committed after the receipt was written: its marker would be
    // there.
    if (s.now_ms - s.receipt.at_ms < retention_min.count()) return {Verdict::renew_and_write, ""};
    return unless_run(
        s, "whether batch " + number(s.batch) +
               " is in the target can't be told: the daemon ended while it was being written, and group " +
               std::string(group) +
               " has no marker any more (offsets.retention.minutes, or it was deleted). Look for its "
               "records (`sluice batches show`): if they are not there, or may come twice, set "
               "missingMarker: run for one start");
}

}  // namespace

std::string Marker::metadata() const {
    return boost::json::serialize(boost::json::object{
        {"sluice", 1}, {"plan", plan}, {"cluster", source_cluster}, {"at", at_ms}});
}

std::optional<Marker> Marker::read(std::int64_t offset, std::string_view metadata) {
    const auto object = object_of(metadata);
    if (!object || number_in(*object, "sluice") != 1 || offset < 0) return std::nullopt;
    return Marker{offset - 1, text_in(*object, "plan").value_or(""),
                  text_in(*object, "cluster").value_or(""), number_in(*object, "at").value_or(0)};
}

std::string Receipt::text() const {
    return boost::json::serialize(
        boost::json::object{{"batch", batch},
                            {"cluster", target_cluster},
                            {"at", at_ms},
                            {"transactionalId", transactional_id}});
}

Receipt Receipt::read(std::string_view text) {
    const auto object = object_of(text);
    const auto batch = object ? number_in(*object, "batch") : std::nullopt;
    const auto cluster = object ? text_in(*object, "cluster") : std::nullopt;
    if (!batch || !cluster)
        throw std::invalid_argument("the checkpoint has a receipt that this plugin did not write");
    return {*batch, *cluster, number_in(*object, "at").value_or(0),
            text_in(*object, "transactionalId").value_or("")};
}

std::string plan_of(const Batch& batch) {
    std::string text;
    for (const Range range : batch.ranges) {
        text += range.topic;
        text += '/' + number(range.partition) + '@' + number(range.from) + '-' +
                number(range.until) + '\n';
    }
    return std::to_string(batch.ranges.size()) + '-' + std::to_string(hash_of(text));
}

std::string objection_to(const Claim& claim, std::string_view group) {
    if (!claim.newest || claim.newest->batch == no_batch) return "";
    const std::int64_t newest = claim.newest->batch;
    const std::string in_target =
        "group " + std::string(group) + " of the target cluster has batch " + number(newest);
    if (!claim.has_checkpoint)
        return in_target + " of pipeline " + claim.pipeline +
               ", and there is no checkpoint: restore it. To start over, so that its records come again, set "
               "another transactionalId, or delete the group (kafka-consumer-groups.sh --delete --group " +
               std::string(group) + ')';
    if (newest > claim.last_batch)
        return in_target + ", and the checkpoint comes to batch " + number(claim.last_batch) +
               " at most: another daemon runs this pipeline, or the checkpoint is older than the output. "
               "Stop one of the two, or restore the checkpoint that belongs to it";
    if (newest == claim.untried)
        return in_target +
               ", which this daemon has begun and not come to commit: another daemon runs this pipeline, from "
               "a copy of the checkpoint, or the checkpoint is older than the output. Stop one of the two, "
               "or restore the checkpoint that belongs to it";
    return "";
}

Verdict judge(const Situation& s, std::string_view group) {
    if (!s.newest) return judge_missing(s, group);
    const std::string in_target =
        "group " + std::string(group) + " of the target cluster has batch ";
    const std::int64_t newest = s.newest->batch;
    if (s.newest->source_cluster != s.source_cluster)
        return stop(in_target + number(newest) + " of Kafka cluster " + s.newest->source_cluster +
                    ", and this pipeline reads cluster " + s.source_cluster +
                    ": give one of the two " + new_id);
    if (newest > s.batch)
        return stop(
            in_target + number(newest) + ", and the checkpoint comes to batch " + number(s.batch) +
            ": another daemon runs this pipeline, or the checkpoint is older than the output. Stop one of the "
            "two, or restore the checkpoint that belongs to it." +
            regardless(group));
    if (newest == s.batch) {
        if (s.newest->plan == s.plan) return {Verdict::already_committed, ""};
        return stop(
            in_target + number(newest) +
            " with other offsets: another daemon wrote it, from a checkpoint of its own. Stop one "
            "of the two, or give it " +
            new_id);
    }
    const std::int64_t last = s.receipt.batch;
    if (newest < last && is_of_another_id(s))
        return s.may_be_there
                   ? judge_another_id(s)
                   : stop(in_target + number(newest) + ", and the checkpoint has " + number(last) +
                          ", written under transactionalId " + s.receipt.transactional_id +
                          ": this one was in use before, or is another pipeline's. Set one that nobody has used." +
                          regardless(group));
    if (newest < last)
        return stop(
            "the checkpoint says that batch " + number(last) +
            " is in the target cluster, and the newest there is " + number(newest) +
            ": the output is older than the checkpoint (a cluster that was restored, a topic "
            "that was deleted)." +
            regardless(group));
    if (newest > last)
        return stop(in_target + number(newest) + ", and the checkpoint has " + number(last) +
                    ": another daemon wrote it. Stop one of the two." + regardless(group));
    const bool is_old = s.now_ms - s.newest->at_ms > renew_after.count();
    return {is_old ? Verdict::renew_and_write : Verdict::write, ""};
}

}  // namespace sluice::plugins::kafka
