#include "layout.h"

static constexpr sluice_string text = SLUICE_STRING("abc");
static_assert(text.size == 3, "the literal macro works in a constant");
