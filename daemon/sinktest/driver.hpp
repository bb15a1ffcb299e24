#pragma once
// A pipeline as a sink sees it: a checkpoint that outlives the process, plans, attempts, re-runs. What
// the daemon does in pipeline/, without Kafka and with a knife. Internal to the module.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "daemon/sinktest/ledger.hpp"
#include "daemon/sinktest/process.hpp"
#include "daemon/sinktest/schedule.hpp"
#include "daemon/sinktest/sink_test.hpp"

namespace sluice::sinktest {

struct Planned {
    sink::Batch batch;
    Flavor flavor = Flavor::plain;
};

/// How large the next plan is.
struct Shape {
    int ranges = 2;
    std::int64_t offsets_max = 12;  ///< of a range
    Flavor flavor = Flavor::plain;
};

/// Errors of its functions: `fatal` where the sink broke the contract or its process died; `failed`
/// where a command of the author failed. Confined to one thread.
class Driver {
 public:
    explicit Driver(const Options& options);

    // ---- life
    /// A process with the sink open in it, by the checkpoint, unless there is one.
    Result<void> open();
    /// Closes the sink; the process goes on. Nothing may be begun.
    Result<void> close();
    /// SIGKILL.
    void kill();
    /// Ends the process, whose sink is closed.
    void end() { forget_process(); }

    /// Ids and offsets of its own, and the same random numbers, whatever ran before; `place` counts all
    /// scenarios. To be called while the sink is closed, and nothing unfinished.
    void enter_scenario(std::size_t place, std::string_view name);

    // ---- batches
    /// The next one; recorded as planned.
    Planned plan(const Shape& shape);
    std::vector<Step> steps_of(const Planned& planned, Order order);
    /// Steps [from, until) of an attempt. True when the batch is committed: in the target, and
    /// not yet in the checkpoint. A sink that lost the batch was asked again by then.
    Result<bool> run(const Planned& planned, const std::vector<Step>& steps, std::size_t from,
                     std::size_t until);
    /// The first `at` steps; then the process is killed while the next one runs, `moment` of the time
    /// that such a call has taken so far behind its start, 0 … 1; random without.
    Result<void> kill_inside(const Planned& planned, const std::vector<Step>& steps, std::size_t at,
                             std::optional<double> moment = {});
    /// What the daemon writes in one go once the sink has the batch.
    void store(const Planned& planned);
    /// Gives up an attempt, when one is begun: writers closed with keep = 0, abort().
    Result<void> abort(const Planned& planned);
    /// The first `count` steps; the target goes away, the attempt fails, the target is back, and the
    /// batch is finished.
    Result<void> survive_outage(const Planned& planned, const std::vector<Step>& steps, std::size_t count);
    /// Again and again until it is committed, and in the checkpoint. The sink is opened when it is not.
    Result<void> finish(const Planned& planned);
    /// As `sluice batches replan`: asks the sink, and if it hasn't the batch, plans its offsets anew.
    Result<void> give_up(const Planned& planned);
    /// The batch that is planned and not in the checkpoint.
    [[nodiscard]] const std::optional<Planned>& unfinished() const { return unfinished_; }

    // ---- what is seen
    /// Reads the target, when there is a reader, and holds it against the ledger.
    Result<void> look(const std::string& moment);
    Result<Answer> ask(Op op);
    void find(Finding finding) { findings_.push_back(std::move(finding)); }
    std::vector<Finding> take_findings() { return std::exchange(findings_, {}); }

    const Options& options;
    Ledger ledger;
    Random random;
    std::uint64_t kills = 0;
    std::uint64_t batches = 0;
    std::uint32_t pause_ms = 0;  ///< parallel writers rest between calls, at most so long
    struct Seen {
        std::uint64_t retries = 0;  ///< RETRY was answered so many times
        std::string retry;          ///< one of them
        std::uint64_t refused = 0;
        std::string refusal;
        std::uint32_t forms = 0;  ///< of refusing
        std::uint64_t kills_in_commit = 0;
    } seen;                       ///< since somebody emptied it
    std::function<void()> progress = [] {};  ///< called now and then

 private:
    enum class Attempt { partial, committed, again };

    Result<Attempt> attempt(const Planned& planned, std::span<const Step> steps);
    /// Attempts of a re-run, until one commits.
    Result<void> rerun(const Planned& planned);
    Result<Attempt> begun(const Planned& planned, const Answer& answer);
    Result<Attempt> take(const Planned& planned, const Step& step, const Answer& answer);
    /// `what` names the call in messages.
    Result<Answer> call(const Request& request, const std::string& what);
    void forget_process();
    void note_retry(const std::string& what);
    Request request_of(const Planned& planned, const Step& step) const;

    const Recipe recipe_;
    std::optional<Process> process_;
    bool is_open_ = false;
    struct Checkpoint {
        std::uint64_t next_batch = 0;
        std::optional<std::string> receipt;
    } checkpoint_;
    std::map<std::pair<std::string, std::int32_t>, std::int64_t> positions_;  ///< in this scenario
    std::uint64_t first_batch_ = 0;                                           ///< of it
    std::int64_t first_offset_ = 0;
    std::optional<Planned> unfinished_;
    std::map<std::uint64_t, std::string> receipts_;  ///< what commit() answered
    bool is_rerun_ = false;  ///< what the next begin() says
    bool is_begun_ = false;  ///< and neither committed nor aborted yet
    std::set<std::uint32_t> writers_;
    std::string last_answer_;  ///< that was not OK
    bool refused_more_ = false;  ///< since the attempt began
    std::map<Op, std::chrono::microseconds> usual_;  ///< how long a call takes: the last ones count most
    std::vector<Finding> findings_;
};

}  // namespace sluice::sinktest
