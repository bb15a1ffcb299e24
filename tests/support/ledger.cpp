#include "tests/support/ledger.hpp"

#include <librdkafka/rdkafka.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>

#include "tests/support/topic_reader.hpp"

namespace sluice::test {
namespace {

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text) | 1U; }

std::string gunzip(const std::filesystem::path& path) {
    const gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) throw std::runtime_error("cannot open " + path.string());
    std::string text;
    std::vector<char> buffer(1 << 20);
    int got = 0;
    while ((got = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    gzclose(file);
    if (got < 0) throw std::runtime_error("corrupt gzip: " + path.string());
    return text;
}

std::string unzstd(const std::string& data) {
    std::string text;
    std::vector<char> buffer(ZSTD_DStreamOutSize());
    ZSTD_DStream* const stream = ZSTD_createDStream();
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
        const std::size_t result = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(result) != 0) throw std::runtime_error("corrupt zstd");
        text.append(buffer.data(), out.pos);
    }
    ZSTD_freeDStream(stream);
    return text;
}

std::string plain(const std::filesystem::path& path) {
    if (path.extension() == ".gz") return gunzip(path);
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return path.extension() == ".zst" ? unzstd(text.str()) : text.str();
}

void add_lines(Ledger& ledger, const std::string& text, const std::string& where) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) throw std::runtime_error(where + ": ends inside a line");
        const auto line = boost::json::parse(std::string_view(text).substr(at, end - at)).as_object();
        const auto& value = line.at("value");
        ledger[{std::string(line.at("topic").as_string()),
                static_cast<std::int32_t>(line.at("partition").as_int64())}]
            .push_back({line.at("offset").as_int64(),
                        value.is_null() ? 0 : hash_of(std::string_view(value.as_string()))});
        at = end + 1;
    }
}

}  // namespace

Ledger visible_in_kafka(const std::string& bootstrap, const std::vector<std::string>& topics) {
    Ledger ledger;
    read_topics(bootstrap, topics, "read_committed", [&] { ledger.clear(); },
                [&](const rd_kafka_message_t& message) {
                    const auto* const value = static_cast<const char*>(message.payload);
                    ledger[{rd_kafka_topic_name(message.rkt), message.partition}].push_back(
                        {message.offset, value == nullptr ? 0 : hash_of({value, message.len})});
                });
    return ledger;
}

Ledger delivered_in(const std::filesystem::path& folder) {
    Ledger ledger;
    std::vector<std::filesystem::path> files;
    for (auto it = std::filesystem::recursive_directory_iterator(folder);
         it != std::filesystem::recursive_directory_iterator(); ++it) {
        const std::string name = it->path().filename().string();
        if (name.starts_with('.') || name.starts_with('_')) {
            if (it->is_directory()) it.disable_recursion_pending();
            continue;
        }
        if (it->is_regular_file()) files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) add_lines(ledger, plain(file), file.string());
    return ledger;
}

std::uint64_t count(const Ledger& ledger) {
    std::uint64_t total = 0;
    for (const auto& [partition, entries] : ledger) total += entries.size();
    return total;
}

std::string difference(const Ledger& expected, const Ledger& actual) {
    std::string text;
    int shown = 0;
    const auto say = [&](const plan::TopicPartition& tp, std::int64_t offset, const char* what) {
        if (++shown <= 10) {
            text += plan::to_string(tp) + "@" + std::to_string(offset) + " " + what + "\n";
        }
    };
    Ledger sorted = actual;
    for (auto& [tp, entries] : sorted) {
        std::sort(entries.begin(), entries.end());
        for (std::size_t i = 1; i < entries.size(); ++i) {
            if (entries[i].offset == entries[i - 1].offset) say(tp, entries[i].offset, "is there twice");
        }
        entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
        const auto found = expected.find(tp);
        const std::vector<Entry> none;
        const std::vector<Entry>& wanted = found == expected.end() ? none : found->second;
        std::vector<Entry> extra;
        std::set_difference(entries.begin(), entries.end(), wanted.begin(), wanted.end(),
                            std::back_inserter(extra));
        for (const Entry& entry : extra) say(tp, entry.offset, "is not (or otherwise) in Kafka");
    }
    for (const auto& [tp, wanted] : expected) {
        const auto& entries = sorted[tp];
        std::vector<Entry> missing;
        std::set_difference(wanted.begin(), wanted.end(), entries.begin(), entries.end(),
                            std::back_inserter(missing));
        for (const Entry& entry : missing) say(tp, entry.offset, "is missing");
    }
    if (shown > 10) text += "and " + std::to_string(shown - 10) + " more\n";
    return text;
}

}  // namespace sluice::test
