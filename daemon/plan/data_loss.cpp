#include "daemon/plan/data_loss.hpp"
