#include "layout.h"

/* The literal macro works in a static table, which is where C plugins need it. */
static const sluice_string text = SLUICE_STRING("abc");
size_t sluice_header_c11(void);
size_t sluice_header_c11(void) { return text.size; }
