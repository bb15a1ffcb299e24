#include "plugins/kafka/marker_reader.hpp"

#include <array>

#include "plugins/kafka/conf.hpp"
#include "plugins/kafka/errors.hpp"
#include "plugins/kafka/patience.hpp"

namespace sluice::plugins::kafka {
namespace {

/// Coordinators load, move, and end transactions.
constexpr std::chrono::milliseconds poll_interval = std::chrono::milliseconds(50);

struct Answer {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string detail;
    std::optional<Marker> newest;
};

Answer read(const rd_kafka_topic_partition_list_t& offsets) {
    Answer answer;
    for (int i = 0; i < offsets.cnt; ++i) {
        const auto& each = offsets.elems[i];
        if (each.err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return {each.err, rd_kafka_err2str(each.err), {}};
        const auto marker = Marker::read(
            each.offset, {static_cast<const char*>(each.metadata), each.metadata_size});
        if (marker && (!answer.newest || marker->batch > answer.newest->batch))
            answer.newest = marker;
    }
    return answer;
}

Answer read(rd_kafka_event_t* event) {
    if (const auto code = rd_kafka_event_error(event); code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return {code, rd_kafka_event_error_string(event), {}};
    std::size_t count = 0;
    const auto* const* const groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    if (count != 1) return {RD_KAFKA_RESP_ERR__BAD_MSG, "not one group", {}};
    if (const auto* const error = rd_kafka_group_result_error(groups[0]))
        return {rd_kafka_error_code(error), rd_kafka_error_string(error), {}};
    const auto* const offsets = rd_kafka_group_result_partitions(groups[0]);
    return offsets == nullptr ? Answer{} : read(*offsets);
}

Answer ask(rd_kafka_t* client, const Options& options, bool stable, Patience& patience) {
    const AdminOptions how{
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS)};
    std::array<char, 256> text{};
    rd_kafka_AdminOptions_set_request_timeout(how.get(), static_cast<int>(options.timeout.count()),
                                              text.data(), text.size());
    const ErrorHandle ignored{
        rd_kafka_AdminOptions_set_require_stable_offsets(how.get(), stable ? 1 : 0)};
    const ListGroupOffsets wanted{
        rd_kafka_ListConsumerGroupOffsets_new(options.marker_group.c_str(), nullptr)};
    const Queue queue{rd_kafka_queue_new(client)};
    rd_kafka_ListConsumerGroupOffsets_t* list[] = {wanted.get()};
    rd_kafka_ListConsumerGroupOffsets(client, list, 1, how.get(), queue.get());
    while (true) {
        if (const Event event{rd_kafka_queue_poll(queue.get(), patience.slice_ms())})
            return read(event.get());
        if (patience.is_over()) return {RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer", {}};
    }
}

}  // namespace

std::optional<Marker> read_newest_marker(const Options& options, Host host, bool stable) {
    Conf conf = make_conf(options, Role::marker_reader);
    // What there is to say, the producer says; a consumer would complain of its properties.
    rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});
    const Handle client = make_client(std::move(conf), Role::marker_reader);
    Patience patience(host, options.timeout);
    while (true) {
        const Answer answer = ask(client.get(), options, stable, patience);
        if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR) return answer.newest;
        if (answer.code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return std::nullopt;
        if (!is_passing(answer.code) || patience.is_over())
            throw ClusterError(kind_of(answer.code),
                               "reading the offsets of group " + options.marker_group + ": " +
                                   answer.detail + " (" + rd_kafka_err2name(answer.code) + ')' +
                                   remedy_of(answer.code, "", options.transactional_id));
        const Queue nothing{rd_kafka_queue_new(client.get())};
        const Event none{rd_kafka_queue_poll(nothing.get(), static_cast<int>(poll_interval.count()))};
    }
}

}  // namespace sluice::plugins::kafka
