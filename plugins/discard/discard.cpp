// discard: takes every record and keeps none. For measuring the way to the sink, and nothing else.

#include <memory>
#include <optional>
#include <string_view>

#include "sluice/sink.hpp"

namespace {

class DiscardWriter final : public sluice::Writer {
    sluice::Status write(sluice::Records) override { return {}; }
    sluice::Status close(bool) override { return {}; }
};

class DiscardSink final : public sluice::Sink {
 public:
    DiscardSink(sluice::Host, const sluice::Config&, std::optional<std::string_view>) {}

    sluice::Status begin(const sluice::Batch&) override { return {}; }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<DiscardWriter>();
    }
    sluice::Status commit(std::uint64_t) override { return {}; }
    sluice::Status abort(std::uint64_t) override { return {}; }
};

}  // namespace

SLUICE_SINK_PLUGIN(DiscardSink, sluice::describe("discard", SLUICE_PLUGIN_VERSION,
                                                 "Takes every record and keeps none."));
