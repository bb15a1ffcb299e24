#pragma once
// One thread runs everything: which of the tasks that are ready comes next is drawn from the seed, and
// when nothing is ready, time jumps to the next deadline.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/pipeline/alarm.hpp"
#include "tests/simulation/world.hpp"

namespace sluice::simulation {

namespace asio = boost::asio;

/// Tasks that are ready, taken in any order: what a pool of threads may do.
class TaskPool {
 public:
    explicit TaskPool(asio::io_context& io) : io_(io) {}

    class Executor {
     public:
        explicit Executor(TaskPool& pool) : pool_(&pool) {}
        asio::execution_context& query(asio::execution::context_t) const noexcept { return pool_->io_; }
        static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
            return asio::execution::blocking.never;
        }
        Executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
        template <class Function>
        void execute(Function function) const {
            pool_->tasks_.push_back(std::make_unique<Holder<Function>>(std::move(function)));
        }
        bool operator==(const Executor& other) const noexcept { return pool_ == other.pool_; }
        bool operator!=(const Executor& other) const noexcept { return pool_ != other.pool_; }

     private:
        TaskPool* pool_;
    };

    [[nodiscard]] Executor executor() { return Executor(*this); }
    [[nodiscard]] bool empty() const { return tasks_.empty(); }
    void run_one(Random& random) {
        const std::size_t index = random.below(tasks_.size());
        std::unique_ptr<Task> task = std::move(tasks_[index]);
        tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(index));
        task->run();
    }

 private:
    struct Task {
        virtual ~Task() = default;
        virtual void run() = 0;
    };
    template <class Function>
    struct Holder final : Task {
        explicit Holder(Function f) : function(std::move(f)) {}
        void run() override { std::move(function)(); }
        Function function;
    };

    asio::io_context& io_;
    std::vector<std::unique_ptr<Task>> tasks_;
};

class SimulatedAlarm;

/// Who waits until when.
class Deadlines {
 public:
    void add(SimulatedAlarm* alarm, Milliseconds at);
    void remove(SimulatedAlarm* alarm);
    [[nodiscard]] std::optional<Milliseconds> next() const;
    /// Ends every wait whose time has come; true when there was one.
    bool fire(Milliseconds now);
    /// Ends every wait, because the process is dead.
    void fire_all();

 private:
    std::vector<std::pair<Milliseconds, SimulatedAlarm*>> waiting_;
};

std::unique_ptr<pipeline::Alarm> make_alarm(World& world, Deadlines& deadlines,
                                            const asio::any_io_executor& executor);

}  // namespace sluice::simulation
