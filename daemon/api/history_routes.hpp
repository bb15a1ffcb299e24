#pragma once
// The recorded batches, page by page. Internal to the module.

#include "daemon/api/handlers.hpp"

namespace sluice::api {

void add_history_routes(control::Router& router, const Shared& api);

}  // namespace sluice::api
