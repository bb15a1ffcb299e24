#include "plugins/postgres/postgres_sink.hpp"

#include <charconv>
#include <utility>

namespace sluice::plugins::postgres {
namespace {

constexpr std::string_view receipt_before = R"({"batch":)";

std::string receipt_of(std::int64_t batch) {
    return std::string(receipt_before) + std::to_string(batch) + '}';
}

std::int64_t batch_of(std::string_view receipt) {
    std::int64_t batch = 0;
    if (receipt.substr(0, receipt_before.size()) == receipt_before) {
        receipt.remove_prefix(receipt_before.size());
        const auto [end, error] =
            std::from_chars(receipt.data(), receipt.data() + receipt.size(), batch);
        if (error == std::errc() && end + 1 == receipt.data() + receipt.size() && *end == '}')
            return batch;
    }
    throw std::invalid_argument("the checkpoint has a receipt that this plugin did not write");
}

/// Which ranges, short enough for a row: two batches of one number and other ranges differ.
std::string plan_of(const Batch& batch) {
    std::string text;
    for (const Range range : batch.ranges) {
        text += range.topic;
        text += '/' + std::to_string(range.partition) + '@' + std::to_string(range.from) + '-' +
                std::to_string(range.until) + '\n';
    }
    return std::to_string(batch.ranges.size()) + '-' + std::to_string(hash_of(text));
}

/// The call's answer for an error where no row is to blame.
Status plain_answer(const ServerError& error) {
    return error.kind() == ErrorKind::retry ? Status::retry(error.what())
                                            : Status::fatal(error.what());
}

/// A COPY that failed took the rows of earlier calls with it: trying this call again would not help.
Status all_lost(Status answer) {
    return answer.code() == SLUICE_RETRY ? Status::batch_lost(answer.text()) : answer;
}

}  // namespace

Status PostgresSink::check(const Config& config) {
    try {
        check_connection_string(read_options(config.settings).connection);
    } catch (const std::invalid_argument& wrong) {
        return Status::fatal(wrong.what());
    }
    return {};
}

PostgresSink::PostgresSink(Host host, const Config& config, std::optional<std::string_view> receipt)
    : host_(host),
      options_(read_options(config.settings)),
      plan_(options_),
      memory_(host, config.memory_max) {
    fit_buffers(options_, config);
    check_connection_string(options_.connection);
    if (receipt) last_ = batch_of(*receipt);
    std::int64_t newest = -1;
    try {
        target_.emplace(options_, host, config.pipeline, config.cluster_id, memory_);
        newest = target_->newest_batch();
    } catch (const ServerError& error) {
        if (error.kind() == ErrorKind::retry) throw Retry(error.what());
        throw;
    }
    if (!receipt && newest >= 0)
        throw std::runtime_error(
            "the table has batches of pipeline " + std::string(config.pipeline) + " up to " +
            std::to_string(newest) +
            ", and there is no checkpoint: restore it, give the pipeline another name or table, or "
            "delete this pipeline's rows from sluice_batches, whose records will then come again");
}

std::optional<std::string> PostgresSink::initial_receipt() {
    return receipt_of(last_);
}

Status PostgresSink::begin(const Batch& batch) {
    batch_ = {static_cast<std::int64_t>(batch.id), plan_of(batch)};
    records_ = 0;
    deletes_ = 0;
    try {
        if (!target_->begin(batch_, last_)) return {};
    } catch (const ServerError& error) {
        return plain_answer(error);
    }
    last_ = batch_.id;
    return Status::already_committed(receipt_of(last_));
}

std::unique_ptr<Writer> PostgresSink::open_writer(const Range& range) {
    return std::make_unique<RowWriter>(*this, range);
}

Status PostgresSink::answer_to(const ServerError& error) {
    if (error.kind() != ErrorKind::row) return plain_answer(error);
    if (!target_->be_more_careful())
        return Status::fatal(std::string(error.what()) +
                             ". Each row was taken, with every constraint checked at once, and the batch is "
                             "refused: look for a trigger that defers constraints, or is deferred itself");
    return Status::retry("the server refused a row: " + std::string(error.what()) +
                         ". The batch is run again to find it");
}

Status PostgresSink::commit(std::uint64_t) {
    try {
        if (const auto refused = target_->settle(); !refused.empty()) {
            for (const auto& [name, why] : refused)
                host_.refuse(name.range, name.offset, why);
            return Status::batch_lost("the server refused " + std::to_string(refused.size()) +
                                      " rows, and again once all others of the batch were there");
        }
        target_->commit(batch_, last_, records_, deletes_ != 0);
    } catch (const ServerError& error) {
        return answer_to(error);
    }
    last_ = batch_.id;
    return Status::ok(receipt_of(last_));
}

Status PostgresSink::abort(std::uint64_t) {
    target_->abort();
    return {};
}

RowWriter::RowWriter(PostgresSink& sink, const Range& range)
    : sink_(sink), range_(range.index), encoder_(sink.plan_, range.index), held_(sink.memory_) {
    // With care, calls have rows of their own.
    if (!sink.memory_.is_full() && !sink.target_->is_careful()) rows_.reserve(put_at + put_at / 2);
    held_.set(rows_.capacity());
}

Status RowWriter::write(Records records) {
    if (sink_.target_->is_careful()) return write_carefully(records);
    std::vector<Rejection> rejections;  // allocates for refused records only
    std::string reason;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const Record record = records[i];
        const Headers headers =
            sink_.plan_.needs_headers ? sink_.host_.headers(record) : Headers(nullptr, 0);
        if (encoder_.append(rows_, record, headers, reason)) {
            ++count_;
        } else {
            rejections.push_back({i, std::exchange(reason, {})});
        }
    }
    held_.set(rows_.capacity());
    try {
        if (rows_.size() >= put_at || sink_.memory_.is_full()) put();
    } catch (const ServerError& error) {
        return all_lost(sink_.answer_to(error));
    }
    return rejections.empty() ? Status() : Status::reject(std::move(rejections));
}

Status RowWriter::write_carefully(Records records) {
    std::vector<Rejection> rejections;
    NamedRows rows;
    std::vector<std::size_t> places;
    std::string reason;
    for (std::size_t i = 0; i < records.size(); ++i) {
        const Record record = records[i];
        const Headers headers =
            sink_.plan_.needs_headers ? sink_.host_.headers(record) : Headers(nullptr, 0);
        if (encoder_.append(rows.bytes, record, headers, reason)) {
            rows.ends.push_back(rows.bytes.size());
            rows.names.push_back({range_, record.offset()});
            places.push_back(i);
        } else {
            rejections.push_back({i, std::exchange(reason, {})});
        }
    }
    held_.set(rows.memory());
    try {
        const auto refused = sink_.target_->put_carefully(rows);
        count_ += rows.size() - refused.size();
        for (const auto& [row, why] : refused)
            rejections.push_back({places[row], why});
    } catch (const ServerError& error) {
        held_.set(0);
        return all_lost(plain_answer(error));
    }
    held_.set(0);
    return rejections.empty() ? Status() : Status::reject(std::move(rejections));
}

void RowWriter::put() {
    if (rows_.empty()) return;
    sink_.target_->put(range_, rows_);
    rows_.clear();
    if (!sink_.memory_.is_full()) return;
    rows_.shrink_to_fit();
    held_.set(rows_.capacity());
}

Status RowWriter::close(bool keep) {
    if (!keep) return {};
    try {
        put();
    } catch (const ServerError& error) {
        return sink_.answer_to(error);
    }
    sink_.records_ += count_;
    sink_.deletes_ += encoder_.deletes();
    return {};
}

}  // namespace sluice::plugins::postgres
