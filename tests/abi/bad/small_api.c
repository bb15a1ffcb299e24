#define API_SIZE (sizeof(sluice_sink_api) - sizeof(void*))
#include "base.h"
