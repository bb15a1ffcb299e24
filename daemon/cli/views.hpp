#pragma once
// From the JSON of operations/ to text for people. Pure; `now` is for distances in time.

#include <boost/json/object.hpp>
#include <string>

#include "daemon/base/clock.hpp"

namespace sluice::cli {

std::string view_status(const boost::json::object& status, WallTime now);
/// True for FAILED, STALLED, or an unaccepted loss.
bool needs_attention(const boost::json::object& status);

std::string view_plan(const boost::json::object& plan);
std::string view_batches(const boost::json::object& list);
std::string view_batch(const boost::json::object& batch);
/// Of batches replay.
std::string view_replay(const boost::json::object& replay);
std::string view_verify(const boost::json::object& report);
std::string view_offsets(const boost::json::object& offsets);
/// Of offsets set, reset, skip, and of losses accept.
std::string view_move(const boost::json::object& move);
std::string view_replan(const boost::json::object& replan);
std::string view_losses(const boost::json::object& losses);
std::string view_plugins(const boost::json::object& plugins);
/// One plugin of them with its options.
std::string view_plugin(const boost::json::object& plugin);
std::string view_sink_test(const boost::json::object& report);

}  // namespace sluice::cli
