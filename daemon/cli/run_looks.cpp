// Commands that change nothing: status, plan, batches, offsets get, losses list.

#include <fstream>
#include <iterator>

#include "daemon/cli/fields.hpp"
#include "daemon/cli/session.hpp"
#include "daemon/cli/table.hpp"
#include "daemon/cli/views.hpp"
#include "daemon/cli/what_if.hpp"
#include "daemon/control/url.hpp"
#include "daemon/operations/notation.hpp"

namespace sluice::cli {
namespace {

/// The answer of each pipeline's `rest`, printed one after the other.
template <class View, class Look>
Result<void> print_each(Session& session, const std::vector<std::string>& names, std::string_view rest,
                        View view, Look look) {
    json::array answers;
    bool first = true;
    for (const std::string& name : names) {
        SLUICE_TRY(auto answer, session.get(pipeline_target(name, rest)));
        look(answer);
        if (session.wants_json()) {
            answers.push_back(std::move(answer));
        } else {
            if (!first) session.out() << "\n";
            session.out() << view(answer);
        }
        first = false;
    }
    if (session.wants_json()) session.print_json({{"pipelines", std::move(answers)}});
    if (!session.wants_json() && names.empty()) session.out() << "no pipelines are configured\n";
    return {};
}

Result<int> answer_what_if(Session& session, const std::string& file) {
    constexpr std::size_t input_max = 16U << 20;
    std::string text;
    const auto read = [&](std::istream& in) {
        std::vector<char> block(64U << 10);
        while (text.size() <= input_max && (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)) {
            text.append(block.data(), static_cast<std::size_t>(in.gcount()));
        }
    };
    if (file == "-") {
        read(session.in());
    } else {
        std::ifstream in(file, std::ios::binary);
        if (!in) return Error{ErrorCode::not_found, "can't read " + file};
        read(in);
    }
    SLUICE_TRY(const auto answer, what_if(text));
    session.out() << answer << "\n";
    return exit_ok;
}

}  // namespace

Result<std::vector<std::string>> pipelines_of(Session& session) {
    if (!session.invocation().arguments.empty()) return session.invocation().arguments;
    SLUICE_TRY(const auto status, session.get("/api/status"));
    std::vector<std::string> names;
    for (const auto& pipeline : array_of(status, "pipelines")) {
        if (pipeline.is_object()) names.push_back(text_of(pipeline.get_object(), "pipeline"));
    }
    return names;
}

Result<int> run_plan(Session& session) {
    if (const auto file = session.invocation().value("--what-if")) return answer_what_if(session, *file);
    SLUICE_TRY(const auto names, pipelines_of(session));
    SLUICE_CHECK(print_each(session, names, "/plan", view_plan, [](const json::object&) {}));
    return exit_ok;
}

Result<int> run_status(Session& session) {
    const bool all = session.invocation().has("--all");
    SLUICE_TRY(auto status, session.get(all ? "/api/status?all=true" : "/api/status"));
    if (const auto& wanted = session.invocation().arguments; !wanted.empty()) {
        json::array chosen;
        for (const std::string& name : wanted) {
            SLUICE_TRY(auto one, session.get(pipeline_target(name)));
            chosen.push_back(std::move(one));
        }
        status["pipelines"] = std::move(chosen);
    }
    session.print(status, [&](const json::object& object) { return view_status(object, session.now()); });
    return needs_attention(status) ? exit_found : exit_ok;
}

Result<int> run_batches_list(Session& session) {
    std::string rest = "/batches";
    if (const auto limit = session.invocation().value("--limit")) {
        const auto count = parse_int64(*limit);
        if (!count || *count < 1) {
            return Error{ErrorCode::invalid_argument, "--limit must be a whole number, at least 1"};
        }
        rest += "?limit=" + std::to_string(*count);
    }
    SLUICE_TRY(const auto list, session.get(pipeline_target(session.argument(0), rest)));
    session.print(list, view_batches);
    return exit_ok;
}

Result<int> run_batches_show(Session& session) {
    std::string name = session.argument(0);
    if (session.invocation().arguments.size() == 2) name += "/" + session.argument(1);
    SLUICE_TRY(const auto batch, operations::parse_batch_name(name));
    SLUICE_TRY(const auto shown, session.get(pipeline_target(
                                     batch.pipeline, "/batches/" + std::to_string(batch.batch_id))));
    session.print(shown, view_batch);
    return exit_ok;
}

Result<int> run_batches_find(Session& session) {
    SLUICE_TRY(const auto record, operations::parse_record_name(session.argument(1)));
    SLUICE_TRY(const auto found,
               session.get(pipeline_target(
                   session.argument(0),
                   "/find?topic=" + control::url_encoded(record.topic_partition.topic) + "&partition=" +
                       std::to_string(record.topic_partition.partition) +
                       "&offset=" + std::to_string(record.offset))));
    session.print(found, view_batch);
    return exit_ok;
}

Result<int> run_offsets_get(Session& session) {
    SLUICE_TRY(const auto offsets, session.get(pipeline_target(session.argument(0), "/offsets")));
    session.print(offsets, view_offsets);
    return exit_ok;
}

Result<int> run_losses_list(Session& session) {
    SLUICE_TRY(const auto names, pipelines_of(session));
    bool unaccepted = false;
    SLUICE_CHECK(print_each(session, names, "/losses", view_losses, [&](const json::object& losses) {
        unaccepted = unaccepted || number_of(losses, "unaccepted").value_or(0) > 0;
    }));
    return unaccepted ? exit_found : exit_ok;
}

}  // namespace sluice::cli
