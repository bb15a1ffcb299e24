// sluice verify: the batches come from whoever has the store, the records from Kafka.

#include <algorithm>
#include <stop_token>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/history.hpp"
#include "daemon/cli/progress.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/kafka/rereader.hpp"
#include "daemon/operations/verify.hpp"

namespace sluice::cli {
namespace {

/// How the pipeline reaches its cluster. `not_found` when it is no longer configured.
Result<config::Pipeline> configured(Session& session, const std::string& name) {
    const config::Loaded& loaded = session.connection().load();
    if (!loaded.config) {
        return with_context("reading again needs the pipeline's configuration (--config PATH; --books does "
                            "without)",
                            config::to_error(loaded));
    }
    for (const auto& pipeline : loaded.config->pipelines) {
        if (pipeline.name == name) return pipeline;
    }
    return Error{ErrorCode::not_found, "pipeline '" + name + "' is not in the configuration " +
                                           session.connection().config_path().string() +
                                           ", so how to reach its cluster is not known; --books checks its "
                                           "books alone"};
}

/// What will be read, in offsets. A second reading explains gaps.
std::uint64_t work_of(const operations::History& history) {
    std::uint64_t work = 0;
    for (const auto& batch : history.batches) {
        if (!batch.commit) continue;
        for (const auto& books : batch.commit->books) {
            work += books.polled * (books.gaps > 0 ? 2 : 1);
        }
    }
    return work;
}

Result<json::object> verify_one(Session& session, const std::string& name,
                                const std::optional<WallTime>& since) {
    const bool books_alone = session.invocation().has("--books");
    std::unique_ptr<kafka::Rereader> rereader;
    operations::Reread reread;
    if (!books_alone) {
        SLUICE_TRY(const auto pipeline, configured(session, name));
        SLUICE_TRY(rereader, kafka::Rereader::open({pipeline.source.kafka, pipeline.name,
                                                    pipeline.source.isolation_level}));
        reread.isolation_level = pipeline.source.isolation_level;
    }
    SLUICE_TRY(const auto history, fetch_history(session, name, {since, {}, {}}));
    if (books_alone) return operations::verify(history, nullptr);
    Progress progress(session.err(), session.clock(), "verify " + name + ": records read again",
                      work_of(history));
    reread.look = [&](const std::set<std::string>& topics) { return rereader->look(topics); };
    reread.count = [&](const plan::OffsetRange& range, const std::string& isolation_level) {
        return rereader->count(
            range, isolation_level, [&](std::uint64_t records) { progress.add(records); },
            std::stop_token{});
    };
    return operations::verify(history, &reread);
}

}  // namespace

Result<int> run_verify(Session& session) {
    SLUICE_TRY(const auto since, moment_option(session, "--since"));
    SLUICE_TRY(const auto names, pipelines_of(session));
    json::array reports;
    bool found = false;
    bool unread = false;
    for (const std::string& name : names) {
        SLUICE_TRY(auto report, verify_one(session, name, since));
        found = found || !array_of(report, "findings").empty();
        unread = unread || field(report, "not_read_because") != nullptr;
        if (session.wants_json()) {
            reports.push_back(std::move(report));
        } else {
            session.out() << (&name == &names.front() ? "" : "\n") << view_verify(report);
        }
    }
    if (session.wants_json()) session.print_json({{"pipelines", std::move(reports)}});
    if (!session.wants_json() && names.empty()) session.out() << "no pipelines are configured\n";
    if (found) return exit_found;
    return unread ? exit_code(ErrorCode::unavailable) : exit_ok;
}

}  // namespace sluice::cli
