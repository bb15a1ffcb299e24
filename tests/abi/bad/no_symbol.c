#define OWN_SYMBOL
#include "base.h"
SLUICE_EXPORT const void* another_symbol(void);
const void* another_symbol(void) { return &plugin; }
