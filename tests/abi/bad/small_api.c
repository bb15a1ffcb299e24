#define API_SIZE (offsetof(sluice_sink_api, commit))
#include "base.h"
