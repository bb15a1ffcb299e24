#include "daemon/plan/types.hpp"
