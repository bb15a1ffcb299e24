#include "plugins/file/state.hpp"

#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "plugins/file/errors.hpp"
#include "plugins/file/names.hpp"

namespace sluice::plugins::file {
namespace {

namespace json = boost::json;

constexpr std::int64_t format_version = 1;

std::string_view name_of(Mode mode) { return mode == Mode::append ? "append" : "parts"; }

std::string hex(std::uint32_t number) {
    std::array<char, 8> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
    const std::string text(digits.data(), end);
    return std::string(8 - text.size(), '0') + text;
}

json::object describe(const Receipt& receipt) {
    json::object object{{"mode", name_of(receipt.mode)}};
    object["batch"] = receipt.batch ? json::value(*receipt.batch) : json::value(nullptr);
    if (receipt.mode == Mode::parts) return object;
    object["file"] = receipt.file;
    object["inode"] = receipt.inode;
    object["length"] = receipt.length;
    object["tailCrc32"] = hex(receipt.tail_crc32);
    object["firstBatch"] =
        receipt.first_batch ? json::value(*receipt.first_batch) : json::value(nullptr);
    object["rolled"] = receipt.rolled;
    return object;
}

/// A JSON object whose fields are asked for by name; whatever is amiss is Fatal.
class Fields {
 public:
    Fields(const json::value& value, std::string where) : where_(std::move(where)) {
        if (!value.is_object()) damaged("it is no JSON object");
        object_ = &value.get_object();
    }

    [[nodiscard]] const json::value& at(std::string_view name) const {
        const auto* found = object_->if_contains(name);
        if (found == nullptr) damaged(name, "is missing");
        return *found;
    }
    [[nodiscard]] std::string text(std::string_view name) const {
        const json::value& value = at(name);
        if (!value.is_string()) damaged(name, "is no text");
        return std::string(value.get_string());
    }
    template <class Number>
    [[nodiscard]] Number number(std::string_view name) const {
        boost::system::error_code error;
        const auto value = at(name).to_number<Number>(error);
        if (error) damaged(name, "is no number of its kind");
        return value;
    }
    [[nodiscard]] std::optional<std::uint64_t> optional_number(std::string_view name) const {
        if (at(name).is_null()) return std::nullopt;
        return number<std::uint64_t>(name);
    }
    [[nodiscard]] std::uint32_t crc(std::string_view name) const {
        const std::string digits = text(name);
        std::uint32_t value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (error != std::errc() || end != digits.data() + digits.size())
            damaged(name, "is no checksum");
        return value;
    }
    [[nodiscard]] Mode mode() const {
        const std::string name = text("mode");
        if (name == "parts") return Mode::parts;
        if (name != "append") damaged("\"mode\" is '" + name + "'");
        return Mode::append;
    }
    [[noreturn]] void damaged(const std::string& why) const {
        throw Fatal(where_ + " cannot be understood: " + why +
                    "; put it back from a backup, or give the sink another `path`");
    }
    [[noreturn]] void damaged(std::string_view name, const char* why) const {
        std::string text = "\"";
        damaged(text.append(name).append("\" ").append(why));
    }
    [[nodiscard]] const std::string& where() const noexcept { return where_; }

 private:
    const json::object* object_ = nullptr;
    std::string where_;
};

json::value parse(std::string_view text, const std::string& where) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    if (error)
        throw Fatal(where + " cannot be understood: it is no JSON (" + error.message() +
                    "); put it back from a backup, or give the sink another `path`");
    return value;
}

void check_format(const Fields& fields) {
    const auto version = fields.number<std::int64_t>("format");
    if (version != format_version)
        throw Fatal(fields.where() + " has format " + std::to_string(version) +
                    ", this sluice reads format " + std::to_string(format_version) +
                    ": use the release that wrote it");
}

Receipt read_receipt(const Fields& fields) {
    Receipt receipt;
    receipt.mode = fields.mode();
    receipt.batch = fields.optional_number("batch");
    if (receipt.mode == Mode::parts) return receipt;
    receipt.file = fields.text("file");
    receipt.inode = fields.number<std::uint64_t>("inode");
    receipt.length = fields.number<std::uint64_t>("length");
    receipt.tail_crc32 = fields.crc("tailCrc32");
    receipt.first_batch = fields.optional_number("firstBatch");
    receipt.rolled = fields.text("rolled");
    return receipt;
}

/// A name from a file of ours is used as a name: it must be one.
std::string file_name(const Fields& fields, std::string_view field) {
    std::string name = fields.text(field);
    if (name.find('/') != std::string::npos || name == "." || name == "..")
        fields.damaged(field, "is no file name");
    return name;
}

}  // namespace

std::string to_json(const Owner& owner) {
    json::object object{{"format", format_version},
                        {"pipeline", owner.pipeline},
                        {"clusterId", owner.cluster_id},
                        {"mode", name_of(owner.mode)}};
    object["newestBatch"] =
        owner.newest_batch ? json::value(*owner.newest_batch) : json::value(nullptr);
    object["newestPlan"] = owner.newest_plan;
    return json::serialize(object) + "\n";
}

std::string to_json(const Receipt& receipt) { return json::serialize(describe(receipt)); }

std::string to_json(const Manifest& manifest) {
    const bool append = manifest.receipt.mode == Mode::append;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    json::array files;
    files.reserve(manifest.pieces.size());
    for (const PieceInfo& piece : manifest.pieces) {
        records += piece.records;
        bytes += piece.bytes;
        json::object file;
        file["topic"] = piece.topic;
        file["partition"] = piece.partition;
        file["from"] = piece.from;
        file["until"] = piece.until;
        file["records"] = piece.records;
        file["bytes"] = piece.bytes;
        file["crc32"] = hex(piece.crc32);
        if (!append) {
            file["staged"] = piece.staged;
            file["directory"] =
                topic_directory(piece.topic) + "/" + partition_directory(piece.partition);
            file["name"] = piece.name;
        }
        files.push_back(std::move(file));
    }
    json::object object{{"format", format_version}, {"batch", manifest.batch},
                        {"plan", manifest.plan},    {"records", records},
                        {"bytes", bytes},           {"receipt", describe(manifest.receipt)}};
    if (append) {
        object["file"] = manifest.file;
        object["start"] = manifest.start;
        object["length"] = manifest.length;
        object["rollTo"] = manifest.roll_to;
        object["ranges"] = std::move(files);
    } else {
        object["files"] = std::move(files);
    }
    return json::serialize(object) + "\n";
}

Owner parse_owner(std::string_view text, const std::string& where) {
    const json::value value = parse(text, where);
    const Fields fields(value, where);
    check_format(fields);
    return {fields.text("pipeline"), fields.text("clusterId"), fields.mode(),
            fields.optional_number("newestBatch"), fields.text("newestPlan")};
}

Receipt parse_receipt(std::string_view text, const std::string& where) {
    const json::value value = parse(text, where);
    return read_receipt(Fields(value, where));
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
    const json::value value = parse(text, where);
    const Fields fields(value, where);
    check_format(fields);
    Manifest manifest;
    manifest.batch = fields.number<std::uint64_t>("batch");
    manifest.plan = fields.text("plan");
    manifest.receipt = read_receipt(Fields(fields.at("receipt"), where));
    const bool append = manifest.receipt.mode == Mode::append;
    if (append) {
        manifest.file = file_name(fields, "file");
        manifest.start = fields.number<std::uint64_t>("start");
        manifest.length = fields.number<std::uint64_t>("length");
        manifest.roll_to = file_name(fields, "rollTo");
    }
    const json::value& files = fields.at(append ? "ranges" : "files");
    if (!files.is_array()) fields.damaged("its list of files is no array");
    for (const json::value& entry : files.get_array()) {
        const Fields file(entry, where);
        PieceInfo piece;
        piece.topic = file.text("topic");
        piece.partition = file.number<std::int32_t>("partition");
        piece.from = file.number<std::int64_t>("from");
        piece.until = file.number<std::int64_t>("until");
        piece.records = file.number<std::uint64_t>("records");
        piece.bytes = file.number<std::uint64_t>("bytes");
        piece.crc32 = file.crc("crc32");
        if (!append) piece.staged = file_name(file, "staged");
        if (!append) piece.name = file_name(file, "name");
        manifest.pieces.push_back(std::move(piece));
    }
    return manifest;
}

}  // namespace sluice::plugins::file
