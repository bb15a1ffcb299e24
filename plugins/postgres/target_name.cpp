#include "plugins/postgres/target_name.hpp"

#include <libpq-fe.h>

#include <map>
#include <memory>

namespace sluice::plugins::postgres {

std::string target_name(const Options& options) {
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(
        PQconninfoParse(options.connection.c_str(), nullptr), PQconninfoFree);
    if (parsed == nullptr) return "";
    std::map<std::string, std::string> words;
    for (const PQconninfoOption* each = parsed.get(); each->keyword != nullptr; ++each)
        if (each->val != nullptr && each->val[0] != '\0') words[each->keyword] = each->val;
    const auto word = [&](const char* name, const std::string& otherwise) {
        const auto found = words.find(name);
        return found == words.end() ? otherwise : found->second;
    };
    const std::string service = word("service", "");
    const std::string schema = options.schema.empty() ? "" : options.schema + '.';
    return (service.empty() ? "" : "service " + service + ", ") +
           word("host", word("hostaddr", "(default host)")) + ':' + word("port", "5432") + '/' +
           word("dbname", word("user", "(default database)")) + ' ' + schema + options.table;
}

}  // namespace sluice::plugins::postgres
