// A sink over sink.hpp that uses each part of it once; built as C++17 and as C++20, and run by
// loader_test.cpp. NAME is the file's name.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/sink.hpp"

namespace {

class WrappedWriter final : public sluice::Writer {
 public:
    WrappedWriter(sluice::Host host, std::size_t& kept) : host_(host), kept_(kept) {}

    sluice::Status write(sluice::Records records) override {
        std::vector<sluice::Rejection> bad;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const std::optional<std::string_view> value = records[i].value();
            if (value == "retry") throw sluice::Retry("the record says retry");
            if (value == "fatal") throw std::runtime_error("the record says fatal");
            if (!value) bad.push_back({i, "null value"});
        }
        for (const sluice::Record record : records) {
            for (const sluice::Header header : host_.headers(record))
                kept_ += header.name.size();
        }
        kept_ += records.size() - bad.size();
        if (bad.empty()) return {};
        return sluice::Status::reject(std::move(bad));
    }
    sluice::Status close(bool) override { return {}; }

 private:
    sluice::Host host_;
    std::size_t& kept_;
};

class WrappedSink final : public sluice::Sink {
 public:
    WrappedSink(sluice::Host host, const sluice::Config& config,
                std::optional<std::string_view> receipt)
        : host_(host), receipt_(receipt.value_or("none")) {
        if (config.settings.duration("timeout").count() == 0) throw sluice::Retry("no time");
    }
    static sluice::Status check(const sluice::Config& config) {
        if (config.settings.has("url")) return sluice::Status::ok();
        return sluice::Status::fatal("url is missing");
    }
    static std::string target(const sluice::Config& config) {
        return "service/" + std::string(config.settings.string("timeout"));
    }
    sluice::Status begin(const sluice::Batch& batch) override {
        if (batch.is_rerun) return sluice::Status::already_committed(receipt_);
        return {};
    }
    std::unique_ptr<sluice::Writer> open_writer(const sluice::Range&) override {
        return std::make_unique<WrappedWriter>(host_, kept_);
    }
    sluice::Status commit(std::uint64_t) override {
        return sluice::Status::ok(std::to_string(kept_));
    }
    sluice::Status abort(std::uint64_t) override { return {}; }
    std::optional<std::string> initial_receipt() override { return "first, after " + receipt_; }

 private:
    sluice::Host host_;
    std::string receipt_;
    std::size_t kept_ = 0;
};

constexpr sluice_option options[] = {sluice::option("url", SLUICE_OPTION_STRING, "Where.").secret(),
                                     sluice::option("timeout", SLUICE_OPTION_DURATION, "How long.")
                                         .by_default("5s")
                                         .between(0, 60'000)};

}  // namespace

SLUICE_SINK_PLUGIN(WrappedSink,
                   sluice::describe(NAME, "1.0", "For tests.").idempotent().options(options));
