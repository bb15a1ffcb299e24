#include "daemon/kafka/lookup_clients.hpp"

#include <algorithm>
#include <utility>

namespace sluice::kafka {
namespace {

constexpr Milliseconds idle_max{60'000};

ClientSettings shared(ClientSettings settings) {
    settings.pipeline = "lookup";
    return settings;
}

}  // namespace

LookupLoan::~LookupLoan() {
    if (cluster_) clients_->give_back(std::move(settings_), std::move(cluster_));
}

Result<LookupLoan> LookupClients::borrow(const ClientSettings& settings) {
    ClientSettings wanted = shared(settings);
    std::unique_ptr<Cluster> cluster;
    TellsTopicIds tells_topic_ids;
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::find_if(idle_.begin(), idle_.end(),
                                        [&](const Idle& idle) { return idle.settings == wanted; });
        if (found != idle_.end()) {
            cluster = std::move(found->cluster);
            idle_.erase(found);
        } else {
            TellsTopicIds& known = tells_topic_ids_[wanted];
            if (!known) known = std::make_shared<std::atomic<bool>>(false);
            tells_topic_ids = known;
        }
    }
    if (!cluster) {
        SLUICE_TRY(cluster, open_cluster(wanted, tells_topic_ids));
    }
    return LookupLoan(*this, std::move(wanted), std::move(cluster));
}

void LookupClients::give_back(ClientSettings settings, std::unique_ptr<Cluster> cluster) {
    const std::lock_guard lock(mutex_);
    idle_.push_front({std::move(settings), std::move(cluster), clock_.steady()});
}

// Closing waits for the client's threads: outside the lock.

void LookupClients::tidy() {
    std::list<Idle> old;
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.steady();
    const auto first = std::find_if(idle_.begin(), idle_.end(),
                                    [&](const Idle& idle) { return now - idle.since >= idle_max; });
    old.splice(old.end(), idle_, first, idle_.end());
}

void LookupClients::forget(const ClientSettings& settings) {
    const ClientSettings unwanted = shared(settings);
    std::list<Idle> dropped;
    const std::lock_guard lock(mutex_);
    tells_topic_ids_.erase(unwanted);
    for (auto it = idle_.begin(); it != idle_.end();) {
        const auto next = std::next(it);
        if (it->settings == unwanted) dropped.splice(dropped.end(), idle_, it);
        it = next;
    }
}

std::size_t LookupClients::idle() const {
    const std::lock_guard lock(mutex_);
    return idle_.size();
}

}  // namespace sluice::kafka
