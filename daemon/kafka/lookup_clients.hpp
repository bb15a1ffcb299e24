#pragma once
// Clients that only ask, lent for one question at a time: a thousand pipelines of one cluster need as many
// of them as ask at once, and each is threads and connections.

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/kafka/cluster.hpp"

namespace sluice::kafka {

class LookupClients;

/// One client, exclusively; goes back when destroyed. Confined to one thread at a time.
class LookupLoan {
 public:
    LookupLoan(LookupLoan&& other) noexcept = default;
    LookupLoan& operator=(LookupLoan&&) = delete;
    ~LookupLoan();

    Cluster& cluster() const { return *cluster_; }
    /// Closes it instead: it was refused, and what it logs in with is read anew by the next one.
    void discard() { cluster_.reset(); }

 private:
    friend class LookupClients;
    LookupLoan(LookupClients& clients, ClientSettings settings, std::unique_ptr<Cluster> cluster)
        : clients_(&clients), settings_(std::move(settings)), cluster_(std::move(cluster)) {}

    LookupClients* clients_;
    ClientSettings settings_;
    std::unique_ptr<Cluster> cluster_;
};

/// Process-wide. Safe for concurrent calls. Clients are shared between settings that differ in nothing but
/// the pipeline; their client.id is "sluice-lookup" unless the settings have one.
class LookupClients {
 public:
    explicit LookupClients(const Clock& clock = system_clock()) : clock_(clock) {}

    /// The one that was given back last, or a new one: never waits. Errors: those of open_cluster.
    Result<LookupLoan> borrow(const ClientSettings& settings);

    /// Closes those that nobody has wanted for a minute. Called about once a second.
    void tidy();
    /// Closes the idle ones with these settings.
    void forget(const ClientSettings& settings);

    [[nodiscard]] std::size_t idle() const;

 private:
    friend class LookupLoan;
    struct Idle {
        ClientSettings settings;
        std::unique_ptr<Cluster> cluster;
        SteadyTime since;
    };
    void give_back(ClientSettings settings, std::unique_ptr<Cluster> cluster);

    const Clock& clock_;
    mutable std::mutex mutex_;
    std::list<Idle> idle_;  ///< given back last, first
    std::map<ClientSettings, TellsTopicIds> tells_topic_ids_;  ///< what one client learned, all know
};

}  // namespace sluice::kafka
