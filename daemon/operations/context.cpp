#include "daemon/operations/context.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/base/text.hpp"
#include "daemon/pipeline/kafka_source.hpp"

namespace sluice::operations {
namespace {

Error no_such_pipeline(const std::string& pipeline, const std::vector<std::string>& names) {
    std::string message = "there is no pipeline '" + pipeline + "'";
    if (const auto meant = nearest(pipeline, names)) {
        message += "; did you mean '" + *meant + "'?";
    } else if (names.empty()) {
        message += "; the configuration has none";
    } else {
        message += "; there are: ";
        constexpr std::size_t listed_max = 20;
        for (std::size_t i = 0; i < names.size() && i < listed_max; ++i) {
            message += (i > 0 ? ", " : "") + names[i];
        }
        if (names.size() > listed_max) message += ", …";
    }
    return Error{ErrorCode::not_found, std::move(message)};
}

std::vector<std::string> configured_names(const Context& context) {
    std::vector<std::string> names;
    for (const auto& pipeline : context.config.pipelines) names.push_back(pipeline.name);
    return names;
}

}  // namespace

pipeline::SourceFactory look_up_sources() {
    struct Clients {
        kafka::ConsumerPool consumers{{.capacity = 1}};
        kafka::LookupClients lookups;
    };
    // Shared by every copy of the factory, and by nobody else: sources are used and gone before it.
    return [clients = std::make_shared<Clients>()](const config::Pipeline& pipeline) {
        return pipeline::make_kafka_source(pipeline, clients->consumers, clients->lookups);
    };
}

PluginFinder plugin_files() {
    return [](const config::Config& config, const config::Pipeline& pipeline) {
        return sink::load_plugin(config.plugin_dir / (pipeline.sink.plugin + ".so"));
    };
}

Result<const config::Pipeline*> configured(const Context& context, const std::string& pipeline) {
    const auto& pipelines = context.config.pipelines;
    const auto found = std::find_if(pipelines.begin(), pipelines.end(),
                                    [&](const auto& p) { return p.name == pipeline; });
    if (found != pipelines.end()) return &*found;
    return no_such_pipeline(pipeline, configured_names(context));
}

Result<void> known(const Context& context, const std::string& pipeline) {
    if (configured(context, pipeline)) return {};
    SLUICE_TRY(const auto stored, context.store.pipelines());
    if (std::find(stored.begin(), stored.end(), pipeline) != stored.end()) return {};
    auto names = configured_names(context);
    names.insert(names.end(), stored.begin(), stored.end());
    return no_such_pipeline(pipeline, names);
}

}  // namespace sluice::operations
