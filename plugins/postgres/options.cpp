#include "plugins/postgres/options.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

namespace sluice::plugins::postgres {
namespace {

void read_table(Options& options, std::string_view text) {
    const std::size_t dot = text.find('.');
    options.schema = dot == std::string_view::npos ? "" : text.substr(0, dot);
    options.table = dot == std::string_view::npos ? text : text.substr(dot + 1);
    const auto is_name = [](const std::string& name) {
        return !name.empty() && name.size() <= 63 && name.find('.') == std::string::npos;
    };
    if (!is_name(options.table) || (dot != std::string_view::npos && !is_name(options.schema)))
        throw std::invalid_argument("table '" + std::string(text) +
                                    "' is neither table nor schema.table, of 1 to 63 bytes each");
    if (options.table == "sluice_batches")
        throw std::invalid_argument("table sluice_batches is the sink's own: choose another");
}

void read_key(Options& options, std::string_view json) {
    boost::json::error_code error;
    boost::json::value document =
        boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
    if (!error && document.is_string()) document = boost::json::array{document};
    if (error || !document.is_array() || document.get_array().empty())
        throw std::invalid_argument("key is no list of columns, such as [id]");
    for (const auto& item : document.get_array()) {
        const std::string name =
            item.is_string() ? std::string(item.get_string().data(), item.get_string().size()) : "";
        const auto column = std::find_if(options.columns.begin(), options.columns.end(),
                                         [&](const Column& each) { return each.name == name; });
        if (column == options.columns.end())
            throw std::invalid_argument("key: '" + name + "' is none of `columns`");
        const auto place = static_cast<std::size_t>(column - options.columns.begin());
        if (std::find(options.key.begin(), options.key.end(), place) != options.key.end())
            throw std::invalid_argument("key: '" + name + "' is there twice");
        options.key.push_back(place);
    }
}

}  // namespace

Options read_options(const Settings& settings) {
    Options options;
    options.connection = settings.string("connection");
    read_table(options, settings.string("table"));
    options.mode = settings.string("mode", "append") == "upsert" ? Mode::upsert : Mode::append;
    options.columns =
        settings.has("columns") ? read_columns(settings.string("columns")) : default_columns();
    if (settings.has("key")) read_key(options, settings.string("key"));
    if (options.mode == Mode::upsert && options.key.empty())
        throw std::invalid_argument(
            "mode: upsert needs key: the columns of a unique index, such as [id]");
    if (options.mode == Mode::append && !options.key.empty())
        throw std::invalid_argument("key is for mode: upsert; mode: append keeps every record");
    options.create_table = settings.has("createTable") && settings.boolean("createTable");
    options.connections = static_cast<std::size_t>(settings.integer("connections", 1));
    options.connect_timeout = settings.duration("connectTimeout", std::chrono::seconds(10));
    options.lock_timeout = settings.duration("lockTimeout", std::chrono::seconds(30));
    options.timeout = settings.duration("timeout", std::chrono::minutes(10));
    return options;
}

void fit_buffers(Options& options, const Config& config) {
    constexpr std::uint64_t piece_least = 64 * 1024;
    constexpr std::uint64_t late_least = 1024 * 1024;
    const auto half_of = [&](std::uint64_t wanted) { return config.buffer_size(2 * wanted, 0) / 2; };
    // libpq's buffer doubles until a piece fits.
    const std::uint64_t pieces = 2 * options.connections;
    options.copy_piece_max = std::max(piece_least, half_of(pieces * options.copy_piece_max) / pieces);
    // They wait only while there is one connection, and no writer keeps rows between its calls.
    options.late_max = std::max(late_least, half_of(options.late_max));
}

}  // namespace sluice::plugins::postgres
