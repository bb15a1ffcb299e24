#include "daemon/kafka/rereader.hpp"

#include <utility>

#include "daemon/kafka/client_conf.hpp"
#include "daemon/kafka/cluster.hpp"
#include "daemon/kafka/topic_config.hpp"

namespace sluice::kafka {
namespace {

constexpr Milliseconds look_up_timeout{10'000};
/// For somebody who waits at a terminal.
constexpr Milliseconds progress_timeout{30'000};

PoolOptions pool_options() {
    PoolOptions options;
    options.capacity = 2;  // one for each isolation level: each goes on where its last range ended
    options.memory_max = 64ULL << 20;
    return options;
}

}  // namespace

class Rereader::Impl {
 public:
    Impl(ClientSettings settings, std::unique_ptr<Cluster> cluster, Client admin)
        : settings_(std::move(settings)),
          cluster_(std::move(cluster)),
          admin_(std::move(admin)),
          pool_(pool_options()) {}

    Result<TopicsNow> look(const std::set<std::string>& topics) {
        TopicsNow now;
        SLUICE_TRY(now.cluster_id, cluster_->cluster_id(look_up_timeout));
        SLUICE_TRY(const auto partitions,
                   cluster_->partitions(SubscribeTopics{{topics.begin(), topics.end()}},
                                        look_up_timeout));
        SLUICE_TRY(const auto facts, cluster_->offsets(partitions, look_up_timeout));
        for (const plan::PartitionFacts& fact : facts) {
            now.partitions[fact.topic_partition] = {fact.earliest, fact.latest, fact.topic_id};
        }
        SLUICE_TRY(now.cleanup_policy, cleanup_policies(admin_.get(), topics, look_up_timeout));
        return now;
    }

    Result<RangeCounts> count(const plan::OffsetRange& range, const std::string& isolation_level,
                              const std::function<void(std::uint64_t)>& moved,
                              const std::stop_token& stop) {
        ClientSettings settings = settings_;
        settings.isolation_level = isolation_level;
        SLUICE_TRY(Lease lease, pool_.lease(settings, range.topic_partition, range.from, -1, {}, stop));
        ReadOptions options;
        options.progress_timeout = progress_timeout;
        return read_range(
            lease, range, options,
            [&](std::span<const sluice_record> records) -> Result<void> {
                moved(records.size());
                return {};
            },
            stop);
    }

 private:
    const ClientSettings settings_;
    std::unique_ptr<Cluster> cluster_;
    Client admin_;
    ConsumerPool pool_;
};

Rereader::Rereader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rereader::~Rereader() = default;

Result<std::unique_ptr<Rereader>> Rereader::open(const ClientSettings& settings) {
    SLUICE_TRY(auto cluster, open_cluster(settings));
    SLUICE_TRY(Conf conf, make_conf(settings, Role::lookup));
    SLUICE_TRY(Client admin, make_client(std::move(conf)));
    return std::unique_ptr<Rereader>(
        new Rereader(std::make_unique<Impl>(settings, std::move(cluster), std::move(admin))));
}

Result<TopicsNow> Rereader::look(const std::set<std::string>& topics) { return impl_->look(topics); }

Result<RangeCounts> Rereader::count(const plan::OffsetRange& range, const std::string& isolation_level,
                                    const std::function<void(std::uint64_t)>& moved,
                                    const std::stop_token& stop) {
    return impl_->count(range, isolation_level, moved, stop);
}

}  // namespace sluice::kafka
