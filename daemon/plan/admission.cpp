#include "daemon/plan/admission.hpp"
