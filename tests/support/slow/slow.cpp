// A sink for tests that takes its time and keeps nothing: what is held while it does is held by the daemon.
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "sluice/sink.hpp"

namespace {

class SlowWriter final : public sluice::Writer {
 public:
    explicit SlowWriter(std::chrono::milliseconds hold) : hold_(hold) {}
    sluice::Status write(sluice::Records) override { return std::this_thread::sleep_for(hold_), sluice::Status(); }
    sluice::Status close(bool) override { return {}; }

 private:
    const std::chrono::milliseconds hold_;
};

class SlowSink final : public sluice::Sink {
 public:
    SlowSink(sluice::Host, const sluice::Config& config, std::optional<std::string_view>)
        : write_(config.settings.duration("holdWrite")), commit_(config.settings.duration("holdCommit")) {}
    sluice::Status begin(const sluice::Batch&) override { return {}; }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<SlowWriter>(write_);
    }
    sluice::Status commit(std::uint64_t) override { return std::this_thread::sleep_for(commit_), sluice::Status(); }
    sluice::Status abort(std::uint64_t) override { return {}; }

 private:
    const std::chrono::milliseconds write_;
    const std::chrono::milliseconds commit_;
};

constexpr sluice_option options[] = {
    sluice::option("holdWrite", SLUICE_OPTION_DURATION, "How long a write takes.").by_default("0ms"),
    sluice::option("holdCommit", SLUICE_OPTION_DURATION, "How long a commit takes.").by_default("0ms")};

}  // namespace

SLUICE_SINK_PLUGIN(SlowSink, sluice::describe("slow", "1.0", "Takes its time and keeps nothing.").options(options));
