#include "daemon/config/sink_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "daemon/config/references.hpp"
#include "daemon/config/sections.hpp"

namespace sluice::config {
namespace {

void read(const std::filesystem::path& path, const std::string& name,
          const std::filesystem::path& data_dir,
          const std::map<std::string, std::shared_ptr<const sink::Plugin>>& plugins, Findings& findings,
          LoadedSink& loaded) {
    const std::size_t file = findings.add_file(path.string(), std::filesystem::absolute(path).parent_path());
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    if (!stream) {
        findings.error({file, 0, 0}, {}, std::string("cannot be read: ") + std::strerror(errno));
        return;
    }
    std::string text(file_bytes_max + 1, '\0');  // parse_document refuses what is longer
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    auto document = parse_document(text, file, findings);
    if (!document) return;
    if (!document->is_map()) {
        findings.error({file, 0, 0}, {}, "expected one sink section, such as 'plugin: file' and its options");
        return;
    }
    resolve_references(*document, {}, findings);
    const LoadOptions options;
    sink::PluginDirectory directory;
    directory.plugins = plugins;
    Context context{findings, options, directory, data_dir, {}};
    Pipeline pipeline;
    pipeline.name = name;
    read_sink(context, *document, {}, pipeline);
    if (findings.error_count() == 0) loaded.sink = std::move(pipeline.sink);
}

}  // namespace

LoadedSink load_sink(const std::filesystem::path& path, const std::string& name,
                     const std::filesystem::path& data_dir,
                     const std::map<std::string, std::shared_ptr<const sink::Plugin>>& plugins) {
    LoadedSink loaded;
    try {
        Findings findings;
        read(path, name, data_dir, plugins, findings, loaded);
        loaded.findings = findings.sorted();
    } catch (const std::exception& thrown) {
        loaded.sink.reset();
        loaded.findings.push_back({path.string(), 0, 0, {}, std::string("cannot be read: ") + thrown.what(), true});
    }
    return loaded;
}

Error to_error(const LoadedSink& loaded) {
    std::string message;
    for (const Finding& finding : loaded.findings) {
        if (!finding.is_error) continue;
        if (!message.empty()) message += '\n';
        message += to_string(finding);
    }
    return Error{ErrorCode::configuration, std::move(message)};
}

}  // namespace sluice::config
