// stdout: one line per record on the daemon's standard output.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/common/json_lines.hpp"
#include "plugins/stdout/output.hpp"
#include "sluice/sink.hpp"

namespace {

using sluice::plugins::Output;
using sluice::plugins::ValueMode;

/// Lines wait here until there are this many bytes, or until the commit.
constexpr std::size_t flush_bytes = 64 * 1024;

struct Format {
    explicit Format(const sluice::Settings& settings)
        : is_json(settings.string("format") == "json"),
          value_mode(settings.string("value") == "json" ? ValueMode::json : ValueMode::text) {}
    bool is_json;
    ValueMode value_mode;
};

class StdoutWriter final : public sluice::Writer {
 public:
    StdoutWriter(sluice::Host host, Format format, Output& output)
        : host_(host), format_(format), output_(output) {}

    sluice::Status write(sluice::Records records) override {
        // Before anything is taken from this call: when it answers RETRY, nothing of it was kept.
        if (output_.waiting() >= flush_bytes) output_.flush(host_);
        for (const sluice::Record record : records)
            append(record);
        return {};
    }
    sluice::Status close(bool) override { return {}; }

 private:
    void append(sluice::Record record) {
        std::string& lines = output_.lines();
        if (format_.is_json) {
            const sluice::Headers headers = host_.headers(record);
            sluice::plugins::append_json_line(lines, record.raw(), {headers.data(), headers.size()},
                                              format_.value_mode);
        } else {
            lines += record.value().value_or(std::string_view());
            lines += '\n';
        }
    }

    sluice::Host host_;
    Format format_;
    Output& output_;
};

class StdoutSink final : public sluice::Sink {
 public:
    StdoutSink(sluice::Host host, const sluice::Config& config, std::optional<std::string_view>)
        : host_(host), format_(config.settings) {}

    static sluice::Status check(const sluice::Config& config) {
        if (config.settings.string("format") == "value" &&
            config.settings.string("value") == "json") {
            return sluice::Status::fatal(
                "value: json embeds values in JSON lines, and format: value "
                "writes none: set format: json, or leave out value");
        }
        return {};
    }

    sluice::Status begin(const sluice::Batch&) override { return {}; }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<StdoutWriter>(host_, format_, output_);
    }
    sluice::Status commit(std::uint64_t) override {
        output_.flush(host_);
        return {};
    }
    sluice::Status abort(std::uint64_t) override {
        output_.drop();
        return {};
    }

 private:
    sluice::Host host_;
    Format format_;
    Output output_;
};

constexpr sluice_option options[] = {
    sluice::option("format", SLUICE_OPTION_CHOICE,
                   "What a line holds: the record as a JSON object, or its value alone.")
        .choices("json|value")
        .by_default("json"),
    sluice::option(
        "value", SLUICE_OPTION_CHOICE,
        "With `format: json`: the value as a string, or embedded where it is valid JSON.")
        .choices("text|json")
        .by_default("text")};

}  // namespace

SLUICE_SINK_PLUGIN(StdoutSink, sluice::describe("stdout", SLUICE_PLUGIN_VERSION,
                                                "Writes one line per record to standard output.")
                                   .ordered()
                                   .options(options));
