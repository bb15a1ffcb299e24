#include "daemon/plan/cap.hpp"
