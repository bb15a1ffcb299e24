/* A plugin that loads, unless the file that includes this says otherwise with a macro. NAME comes from
 * CMake: the file's name. */
#include "sluice/sink.h"

#ifndef ABI
#define ABI SLUICE_SINK_ABI
#endif
#ifndef PLUGIN_NAME
#define PLUGIN_NAME SLUICE_STRING(NAME)
#endif
#ifndef STRUCT_SIZE
#define STRUCT_SIZE sizeof(sluice_sink_plugin)
#endif
#ifndef API_SIZE
#define API_SIZE sizeof(sluice_sink_api)
#endif
#ifndef API
#define API &api
#endif
#ifndef COMMIT
#define COMMIT commit
#endif
#ifndef GUARANTEE
#define GUARANTEE SLUICE_AT_LEAST_ONCE
#endif
#ifndef OPTION_NAME
#define OPTION_NAME "color"
#endif
#ifndef OPTION_TYPE
#define OPTION_TYPE SLUICE_OPTION_CHOICE
#endif
#ifndef OPTION_DEFAULT
#define OPTION_DEFAULT "red"
#endif
#ifndef OPTION_SIZE
#define OPTION_SIZE sizeof(sluice_option)
#endif
#ifndef OPTIONS
#define OPTIONS options
#endif

static sluice_status open_sink(const sluice_host* h, const sluice_config* c, sluice_bytes r,
                               sluice_sink** sink, sluice_bytes* i) {
    static int something;
    (void)h, (void)c, (void)r, (void)i;
    *sink = (sluice_sink*)&something;
    return SLUICE_OK;
}
static void close_sink(sluice_sink* sink) { (void)sink; }
static sluice_status begin(sluice_sink* sink, const sluice_batch* b, sluice_bytes* r) {
    return (void)sink, (void)b, (void)r, SLUICE_OK;
}
static sluice_status abort_batch(sluice_sink* sink, uint64_t id) {
    return (void)sink, (void)id, SLUICE_OK;
}
static sluice_status writer_open(sluice_sink* sink, const sluice_range* range, sluice_writer** writer) {
    *writer = (sluice_writer*)sink;
    return (void)range, SLUICE_OK;
}
static sluice_status writer_write(sluice_writer* writer, const sluice_record* records, size_t count,
                                  sluice_rejected* rejected) {
    return (void)writer, (void)records, (void)count, (void)rejected, SLUICE_OK;
}
static sluice_status writer_close(sluice_writer* writer, int32_t keep) {
    return (void)writer, (void)keep, SLUICE_OK;
}
static sluice_status commit(sluice_sink* sink, uint64_t id, sluice_bytes* receipt) {
    return (void)sink, (void)id, (void)receipt, SLUICE_OK;
}

static const sluice_sink_api api = {API_SIZE,     0,           0,            open_sink,
                                    close_sink,   begin,       abort_batch,  writer_open,
                                    writer_write, writer_close, COMMIT};
#ifndef OWN_OPTIONS
#define OPTION_ROW(name) {SLUICE_STRING(name), OPTION_TYPE, 0, SLUICE_STRING(OPTION_DEFAULT), \
                          SLUICE_STRING("red|green"), SLUICE_STRING("A colour."), 0, 0}
static const sluice_option options[] = {OPTION_ROW(OPTION_NAME), OPTION_ROW("shade")};
#endif
static const sluice_sink_plugin plugin = {
    STRUCT_SIZE, ABI,     PLUGIN_NAME, SLUICE_STRING("1.0"), SLUICE_STRING("For tests."),
    GUARANTEE,   0,       OPTIONS,     2,                    OPTION_SIZE,
    API};

#ifndef OWN_SYMBOL
const sluice_sink_plugin* sluice_sink_plugin_v1(void) {
    (void)commit, (void)api, (void)options;
    return &plugin;
}
#endif
