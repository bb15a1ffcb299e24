#include "daemon/plan/planner.hpp"
