#include "daemon/sinktest/driver.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <tuple>
#include <utility>

#include "daemon/sinktest/server.hpp"
#include "daemon/sinktest/shell.hpp"

namespace sluice::sinktest {
namespace {

constexpr int attempts_max = 8;
constexpr std::int64_t far_offset = 5'000'000'000;  // does not fit into 32 bits
// More than a scenario needs with the most rounds that may be asked for.
constexpr std::uint64_t batches_of_scenario = 1'000'000;
constexpr std::int64_t offsets_of_scenario = 100'000'000;

Milliseconds backoff(int attempt) { return Milliseconds{std::min(50 << attempt, 2000)}; }

Error broken(std::string text) { return Error{ErrorCode::fatal, std::move(text)}; }

/// What a plugin prints must not be taken for the kit's own report.
void redirect_output(const std::optional<std::filesystem::path>& out) {
    const char* const path = out ? out->c_str() : "/dev/null";
    const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file >= 0) ::dup2(file, STDOUT_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    for (const int fd : {file, nothing}) {
        if (fd > STDERR_FILENO) ::close(fd);
    }
}

std::string name_of_answer(sink::Status status) {
    std::string name(sink::name_of(status));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return name;
}

}  // namespace

Driver::Driver(const Options& given)
    : options(given), ledger({given.seed, given.json_values, given.bad_value}), random(given.seed),
      recipe_{given.seed, given.json_values, given.bad_value} {}

// ---- life --------------------------------------------------------------------------------------------

Result<void> Driver::open() {
    if (is_open_) return {};
    if (!process_) {
        SLUICE_TRY(process_, Process::start([this](int socket) {
                       redirect_output(options.out);
                       serve(socket, *options.plugin, options.settings, recipe_);
                   }));
    }
    Request request;
    request.op = Op::open;
    request.context = {pipeline_of(options.seed), "sink-test-cluster", checkpoint_.next_batch,
                       checkpoint_.receipt};
    for (int attempt = 1;; ++attempt) {
        SLUICE_TRY(const Answer answer, call(request, "open()"));
        if (answer.status == sink::Status::ok) {
            if (!checkpoint_.receipt && !answer.receipt.empty()) checkpoint_.receipt = answer.receipt;
            is_open_ = true;
            return {};
        }
        if (answer.status != sink::Status::retry || attempt == attempts_max) {
            kill();
            return broken("open() answered " + name_of_answer(answer.status) + ": " + answer.message);
        }
        note_retry("open(): " + answer.message);
        std::this_thread::sleep_for(backoff(attempt));
    }
}

Result<void> Driver::close() {
    if (!is_open_) return {};
    SLUICE_CHECK(ask(Op::close));
    is_open_ = false;
    return {};
}

void Driver::kill() {
    if (process_) ++kills;
    forget_process();
}

void Driver::forget_process() {
    process_.reset();
    is_open_ = false;
    is_begun_ = false;
    is_rerun_ = true;  // whatever is planned: the daemon that starts again does not know how far it came
    writers_.clear();
}

Result<Answer> Driver::call(const Request& request, const std::string& what) {
    progress();
    const auto started = std::chrono::steady_clock::now();
    auto answer = process_->call(request, options.call_timeout);
    if (!answer) {
        forget_process();
        return with_context(what, std::move(answer).error());
    }
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started);
    auto& usual = usual_.try_emplace(request.op, took).first->second;
    usual = (usual + took) / 2;
    seen.forms |= answer->forms;
    for (std::uint32_t i = 0; i < answer->retries; ++i) note_retry(what + ": " + answer->retry);
    return answer;
}

void Driver::note_retry(const std::string& what) {
    if (seen.retries++ == 0) seen.retry = what;
}

Result<Answer> Driver::ask(Op op) {
    Request request;
    request.op = op;
    return call(request, std::string(name_of(op)));
}

void Driver::enter_scenario(std::size_t place, std::string_view name) {
    random = Random(options.seed ^ hashed(name));
    first_batch_ = place * batches_of_scenario;
    first_offset_ = static_cast<std::int64_t>(place) * offsets_of_scenario;
    positions_.clear();
}

// ---- plans -------------------------------------------------------------------------------------------

Planned Driver::plan(const Shape& shape) {
    Planned planned;
    planned.flavor = shape.flavor;
    planned.batch.id = checkpoint_.next_batch = std::max(checkpoint_.next_batch, first_batch_);
    auto& ranges = planned.batch.ranges;
    for (int i = 0; i < shape.ranges; ++i) {
        const std::string topic = pipeline_of(options.seed) + (random.coin() ? "-orders" : "-payments");
        const auto partition = static_cast<std::int32_t>(random.below(3));
        const std::int64_t first = first_offset_ + (partition == 2 ? far_offset : 0);
        auto& position = positions_.try_emplace({topic, partition}, first).first->second;
        const std::int64_t from = position;
        position += random.between(1, shape.offsets_max);
        ranges.push_back({topic, partition, 0, from, position, {}});
    }
    std::sort(ranges.begin(), ranges.end(), [](const sink::Range& a, const sink::Range& b) {
        return std::tie(a.topic, a.partition, a.from) < std::tie(b.topic, b.partition, b.from);
    });
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        ranges[i].index = static_cast<std::uint32_t>(i);
        ranges[i].token = pipeline_of(options.seed) + "/" + std::to_string(planned.batch.id) + "/" + std::to_string(i);
    }
    ledger.plan(planned.batch, planned.flavor);
    unfinished_ = planned;
    is_rerun_ = false;
    ++batches;
    return planned;
}

std::vector<Step> Driver::steps_of(const Planned& planned, Order order) {
    return sinktest::steps_of(planned.batch, order, options.plugin->ordered(), random);
}

void Driver::store(const Planned& planned) {
    const auto receipt = receipts_.find(planned.batch.id);
    if (receipt != receipts_.end() && !receipt->second.empty()) checkpoint_.receipt = receipt->second;
    checkpoint_.next_batch = planned.batch.id + 1;
    unfinished_.reset();
}

// ---- attempts ----------------------------------------------------------------------------------------

Request Driver::request_of(const Planned& planned, const Step& step) const {
    Request request;
    request.op = step.op;
    request.batch.id = planned.batch.id;
    if (step.op == Op::begin) {
        request.batch = planned.batch;
        request.batch.is_rerun = is_rerun_;
        request.flavor = planned.flavor;
        request.known = ledger.refused(planned.batch.id);
    }
    request.range = step.range;
    request.from = step.from;
    request.until = step.until;
    request.chunk = 1 + static_cast<std::uint32_t>(planned.batch.id % 7);
    request.pause_ms = pause_ms;
    return request;
}

Result<Driver::Attempt> Driver::attempt(const Planned& planned, std::span<const Step> steps) {
    refused_more_ = false;
    for (const Step& step : steps) {
        SLUICE_TRY(const Answer answer, call(request_of(planned, step), to_string(step, planned.batch.id)));
        if (answer.status != sink::Status::ok) {
            last_answer_ = to_string(step, planned.batch.id) + " answered " + name_of_answer(answer.status) + ": " + answer.message;
        }
        if (answer.status == sink::Status::fatal) return broken(last_answer_);
        if (answer.status == sink::Status::retry) note_retry(last_answer_);
        for (const sink::Refused& refused : answer.refused) {
            if (!ledger.refuse(planned.batch.id, refused)) continue;
            refused_more_ = true;
            ++seen.refused;
            const sink::Range& range = planned.batch.ranges.at(refused.range_index);
            seen.refusal = to_string({range.topic, range.partition, refused.offset}) + ": " + refused.reason;
        }
        SLUICE_TRY(const Attempt so_far, step.op == Op::begin ? begun(planned, answer)
                                                              : take(planned, step, answer));
        if (so_far != Attempt::partial) return so_far;
    }
    return Attempt::partial;
}

Result<Driver::Attempt> Driver::begun(const Planned& planned, const Answer& answer) {
    const std::uint64_t id = planned.batch.id;
    const std::string batch = "batch " + std::to_string(id);
    const bool is_rerun = std::exchange(is_rerun_, true);
    if (answer.status == sink::Status::retry) return Attempt::again;
    if (answer.status == sink::Status::ok) {
        is_begun_ = true;
        if (ledger.state(id) == BatchState::committed &&
            options.plugin->guarantee_with(options.settings) == sink::Guarantee::exactly_once) {
            find({Proof::idempotent, "begin() of " + batch + " answered OK, though its commit() had before",
                  "an exactly-once sink finds a committed batch by its id, and answers ALREADY_COMMITTED"});
        }
        return Attempt::partial;
    }
    if (!is_rerun) {
        return broken("begin() answered ALREADY_COMMITTED to " + batch + ", which was never begun before. Ids count "
                      "per pipeline: is one looked up without it, in a target that has batches of others?");
    }
    if (ledger.state(id) == BatchState::open) {
        find({Proof::exactly_once,
              "begin() answered ALREADY_COMMITTED to " + batch + ", whose commit() was never called",
              "ALREADY_COMMITTED is for a batch that is in the target, whole: its records are not sent again", true});
    }
    const auto known = receipts_.find(id);
    if (known != receipts_.end() && known->second != answer.receipt) {
        find({Proof::exactly_once,
              "begin() handed out another receipt for " + batch + " (" + std::to_string(answer.receipt.size()) +
                  " bytes) than its commit() had (" + std::to_string(known->second.size()) + " bytes)",
              "the receipt of a batch is one and the same, whichever call the daemon has it from", true});
    }
    receipts_[id] = answer.receipt;
    ledger.set(id, BatchState::committed);
    return Attempt::committed;
}

Result<Driver::Attempt> Driver::take(const Planned& planned, const Step& step, const Answer& answer) {
    if (step.op == Op::close_writer) writers_.erase(step.range);
    if (step.op == Op::open_writer && answer.status == sink::Status::ok) writers_.insert(step.range);
    if (step.op == Op::commit && answer.status == sink::Status::retry) {
        ledger.set(planned.batch.id, BatchState::in_doubt);
    }
    if (answer.status != sink::Status::ok) return Attempt::again;
    if (step.op != Op::commit) return Attempt::partial;
    is_begun_ = false;
    receipts_[planned.batch.id] = answer.receipt;
    ledger.set(planned.batch.id, BatchState::committed);
    return Attempt::committed;
}

Result<bool> Driver::run(const Planned& planned, const std::vector<Step>& steps, std::size_t from,
                         std::size_t until) {
    SLUICE_TRY(const Attempt reached,
               attempt(planned, std::span(steps).subspan(from, until - from)));
    if (reached != Attempt::again) return reached == Attempt::committed;
    SLUICE_CHECK(abort(planned));
    SLUICE_CHECK(rerun(planned));
    return true;
}

Result<void> Driver::kill_inside(const Planned& planned, const std::vector<Step>& steps, std::size_t at,
                                 std::optional<double> moment) {
    SLUICE_TRY(const Attempt reached, attempt(planned, std::span(steps).first(at)));
    if (reached == Attempt::partial) {
        const Step& step = steps[at];
        process_->send(request_of(planned, step));
        // A little more than usual: no call takes the same time twice.
        const double part = moment ? *moment : static_cast<double>(random.below(1000)) / 1000;
        std::this_thread::sleep_for(part * (usual_[step.op] * 1.2 + std::chrono::microseconds{200}));
        if (step.op == Op::commit) {
            ledger.set(planned.batch.id, BatchState::in_doubt);
            ++seen.kills_in_commit;
        }
    }
    kill();
    return {};
}

Result<void> Driver::survive_outage(const Planned& planned, const std::vector<Step>& steps,
                                    std::size_t count) {
    SLUICE_TRY(const Attempt reached, attempt(planned, std::span(steps).first(count)));
    if (reached == Attempt::partial) {
        SLUICE_CHECK(run_apart(*options.down));
        const auto failed = attempt(planned, std::span(steps).subspan(count));
        if (failed) ignore_error(abort(planned), "begin() has to find what it could not remove");
        SLUICE_CHECK(run_apart(*options.up));
        if (!failed) return with_context("while the target was away", failed.error());
        if (*failed == Attempt::committed) {
            find({Proof::exactly_once,
                  "batch " + std::to_string(planned.batch.id) + " was committed while the target was away",
                  "commit() makes the batch durable in the target; or --down does not take it away", true});
        }
    }
    return finish(planned);
}

Result<void> Driver::abort(const Planned& planned) {
    if (!is_begun_) return {};
    for (const std::uint32_t range : std::exchange(writers_, {})) {
        Request request;
        request.op = Op::close_writer;
        request.range = range;
        request.keep = false;
        SLUICE_CHECK(call(request, "writer_close() of range " + std::to_string(range)));  // whatever it answers: the batch is aborted
    }
    Request request;
    request.op = Op::abort;
    request.batch.id = planned.batch.id;
    is_begun_ = false;
    SLUICE_TRY(const Answer answer, call(request, "abort() of batch " + std::to_string(planned.batch.id)));
    if (answer.status == sink::Status::fatal) {
        return broken("abort() of batch " + std::to_string(planned.batch.id) + " answered FATAL: " + answer.message);
    }
    if (answer.status == sink::Status::retry) note_retry("abort() of batch " + std::to_string(planned.batch.id) + ": " + answer.message);
    return {};
}

Result<void> Driver::finish(const Planned& planned) {
    SLUICE_CHECK(rerun(planned));
    store(planned);
    return {};
}

Result<void> Driver::rerun(const Planned& planned) {
    for (int attempts = 1; attempts <= attempts_max; ++attempts) {
        SLUICE_CHECK(open());
        const std::vector<Step> steps = steps_of(planned, random.coin() ? Order::interleaved : Order::one_by_one);
        SLUICE_TRY(const Attempt reached, attempt(planned, steps));
        if (reached == Attempt::committed) return {};
        SLUICE_CHECK(abort(planned));
        if (refused_more_) {
            --attempts;  // another round without them; there are only so many records
        } else {
            std::this_thread::sleep_for(backoff(attempts));
        }
    }
    return broken("batch " + std::to_string(planned.batch.id) + " was not committed in " +
                  std::to_string(attempts_max) + " attempts; the last answer: " + last_answer_);
}

Result<void> Driver::give_up(const Planned& planned) {
    Attempt reached = Attempt::again;
    for (int attempts = 1; reached == Attempt::again; ++attempts) {
        if (attempts > attempts_max) return broken(last_answer_);
        if (attempts > 1) std::this_thread::sleep_for(backoff(attempts - 1));
        SLUICE_CHECK(open());
        SLUICE_TRY(reached, attempt(planned, std::vector<Step>{{Op::begin, 0, 0, 0}}));
    }
    if (reached == Attempt::committed) {
        store(planned);
        return {};
    }
    SLUICE_CHECK(abort(planned));
    for (const sink::Range& range : planned.batch.ranges) {
        auto& position = positions_.at({range.topic, range.partition});
        position = std::min(position, range.from);
    }
    ledger.give_up(planned.batch.id);
    checkpoint_.next_batch = planned.batch.id + 1;
    unfinished_.reset();
    return {};
}

// ---- what is seen ------------------------------------------------------------------------------------

Result<void> Driver::look(const std::string& moment) {
    if (!options.reader) return {};
    SLUICE_TRY(const std::string text, run_shell(*options.reader));
    const Visible visible = parse_visible(text);
    if (visible.other_lines > 0) {
        // The end of a killed write is cut off by the re-run, unless the target is exactly-once.
        const bool is_open = unfinished_ && ledger.state(unfinished_->batch.id) == BatchState::open;
        find({is_open ? Proof::idempotent : Proof::nothing,
              moment + ": of what the reader printed " + std::to_string(visible.other_lines) +
                  " lines are no records, such as: " + visible.first_other_line,
              "what a killed write left must be cut off, or ended, before the next record"});
    }
    for (Finding& finding : ledger.compare(visible.records, moment)) find(std::move(finding));
    return {};
}

}  // namespace sluice::sinktest
