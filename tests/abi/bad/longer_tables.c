/* What a later sluice may look like: every table has grown at its end, flags are new. */
#include "sluice/sink.h"

struct longer_option {
    sluice_option known;
    uint64_t news;
};
static const struct longer_option options[2];
#define OWN_OPTIONS
#define OPTIONS &options[0].known
#define OPTION_SIZE sizeof(struct longer_option)
#define STRUCT_SIZE sizeof(struct longer_plugin)
#define API &longer_api.known
#define OWN_SYMBOL
struct longer_api {
    sluice_sink_api known;
    void (*news)(void);
};
struct longer_plugin {
    sluice_sink_plugin known;
    const char* news;
};
static const struct longer_api longer_api;
#include "base.h"

static void news(void) {}
static const struct longer_option options[2] = {
    {{SLUICE_STRING("color"), SLUICE_OPTION_CHOICE, 1u << 31, SLUICE_STRING("red"),
      SLUICE_STRING("red|green"), SLUICE_STRING("A colour."), 0, 0},
     UINT64_MAX},
    {{SLUICE_STRING("speed"), SLUICE_OPTION_INT, 0, SLUICE_STRING("7"), {0, 0},
      SLUICE_STRING("A speed."), 1, 9},
     UINT64_MAX}};
static const struct longer_api longer_api = {
    {sizeof(struct longer_api), 0, 0, open_sink, close_sink, begin, abort_batch, writer_open,
     writer_write, writer_close, commit},
    news};

const sluice_sink_plugin* sluice_sink_plugin_v1(void) {
    static struct longer_plugin longer;
    longer.known = plugin;
    longer.known.flags = SLUICE_SINK_ORDERED | 1u << 31;
    longer.news = "something new";
    (void)api;
    return &longer.known;
}
