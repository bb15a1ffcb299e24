#pragma once
// One run of the tool, as its handlers see it. Internal to the module.

#include <boost/json/object.hpp>
#include <istream>
#include <ostream>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/cli/commands.hpp"
#include "daemon/cli/connection.hpp"

namespace sluice::cli {

namespace json = boost::json;

/// Exit codes that are no errors; those of errors come from exit_code(ErrorCode).
inline constexpr int exit_ok = 0;
inline constexpr int exit_found = 2;

class Session {
 public:
    Session(Invocation invocation, ConnectionOptions options, std::istream& in, std::ostream& out,
            std::ostream& err, const Clock& clock)
        : invocation_(std::move(invocation)), connection_(std::move(options)), in_(in), out_(out),
          err_(err), clock_(clock) {}

    [[nodiscard]] const Invocation& invocation() const { return invocation_; }
    [[nodiscard]] const std::string& argument(std::size_t i) const { return invocation_.arguments[i]; }
    [[nodiscard]] bool wants_json() const { return invocation_.has("--json"); }
    Connection& connection() { return connection_; }
    std::istream& in() { return in_; }
    std::ostream& out() { return out_; }
    /// For what passes by while a command works; never for its answer.
    std::ostream& err() { return err_; }
    [[nodiscard]] const Clock& clock() const { return clock_; }
    [[nodiscard]] WallTime now() const { return clock_.wall(); }

    Result<json::object> get(const std::string& target) {
        return connection_.request(Effect::looks, "GET", target);
    }
    /// Prints `object` as JSON (one line) with --json, else what `view` makes of it.
    template <class View>
    void print(const json::object& object, View view) {
        if (wants_json()) {
            print_json(object);
        } else {
            out_ << view(object);
        }
    }
    void print_json(const json::object& object);

 private:
    Invocation invocation_;
    Connection connection_;
    std::istream& in_;
    std::ostream& out_;
    std::ostream& err_;
    const Clock& clock_;
};

/// "/api/pipelines/NAME" and what follows, encoded.
std::string pipeline_target(std::string_view pipeline, std::string_view rest = {});

/// The pipelines named on the command line, or all that are configured.
Result<std::vector<std::string>> pipelines_of(Session& session);

// Handlers, by file. Each answers the exit code.
Result<int> run_validate(Session& session);
Result<int> run_plugins(Session& session);
Result<int> run_sink_test(Session& session);
Result<int> run_plan(Session& session);
Result<int> run_status(Session& session);
Result<int> run_batches_list(Session& session);
Result<int> run_batches_show(Session& session);
Result<int> run_batches_find(Session& session);
Result<int> run_batches_replay(Session& session);
Result<int> run_verify(Session& session);
Result<int> run_offsets_get(Session& session);
Result<int> run_offsets_set(Session& session);
Result<int> run_offsets_reset(Session& session);
Result<int> run_offsets_skip(Session& session);
Result<int> run_losses_list(Session& session);
Result<int> run_losses_accept(Session& session);
Result<int> run_batches_replan(Session& session);
Result<int> run_pause(Session& session);
Result<int> run_resume(Session& session);
Result<int> run_stop(Session& session);
Result<int> run_restart(Session& session);
Result<int> run_reload(Session& session);
Result<int> run_logs_level(Session& session);
Result<int> run_forget(Session& session);

}  // namespace sluice::cli
