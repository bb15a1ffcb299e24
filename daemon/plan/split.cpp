#include "daemon/plan/split.hpp"
