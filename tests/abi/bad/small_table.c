#define STRUCT_SIZE (sizeof(sluice_sink_plugin) - sizeof(void*))
#include "base.h"
