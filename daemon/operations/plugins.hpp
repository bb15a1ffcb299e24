#pragma once
// What a plugin directory holds: `sluice plugins`.

#include <boost/json/object.hpp>
#include <filesystem>

#include "daemon/base/result.hpp"

namespace sluice::operations {

/// {"directory":"/usr/lib/sluice","plugins":[{"name":"file","version":"…","sentence":"…",
///   "guarantee":"exactly-once","ordered":false,"file":"…/file.so",
///   "options":[{"name","type":"string|int|bool|duration|size|choice|path|json","required":bool,
///               "secret":bool,"default":"…"|null,"choices":["…"],"sentence":"…"}]}],
///  "broken":[{"file":"x.so","error":"…"}]}
/// Loads every plugin there: their initialisers run. Errors: those of sink::load_plugins.
Result<boost::json::object> list_plugins(const std::filesystem::path& directory);

}  // namespace sluice::operations
