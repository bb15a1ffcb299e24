/* my_sink appends each value as a line to one file. README.md says how to build one like it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sluice/sink.h"

struct sluice_sink { const sluice_host* host; FILE* file; };

static sluice_status fail(const sluice_host* host) {
    const char* const why = strerror(errno);
    host->set_error(host, (sluice_string){why, strlen(why)});
    return SLUICE_FATAL;
}
static sluice_status open_sink(const sluice_host* host, const sluice_config* config,
                               sluice_bytes receipt, sluice_sink** sink, sluice_bytes* initial) {
    const sluice_string value = config->settings[0].value; /* the one option, and it is required */
    char* const path = strndup(value.data, value.size);
    FILE* const file = path != NULL ? fopen(path, "ab") : NULL;
    free(path);
    *sink = file != NULL ? malloc(sizeof **sink) : NULL;
    if (*sink == NULL) return fail(host);
    **sink = (sluice_sink){host, file};
    return (void)receipt, (void)initial, SLUICE_OK;
}
static void close_sink(sluice_sink* sink) { fclose(sink->file), free(sink); }
static sluice_status begin(sluice_sink* sink, const sluice_batch* batch, sluice_bytes* receipt) {
    return (void)sink, (void)batch, (void)receipt, SLUICE_OK;
}
static sluice_status abort_it(sluice_sink* s, uint64_t id) { return (void)s, (void)id, SLUICE_OK; }
static sluice_status writer_open(sluice_sink* sink, const sluice_range* range, sluice_writer** w) {
    *w = (sluice_writer*)sink; /* no state of its own: SLUICE_SINK_ORDERED is one at a time */
    return (void)range, SLUICE_OK;
}
static sluice_status writer_write(sluice_writer* writer, const sluice_record* records, size_t count,
                                  sluice_rejected* rejected) {
    const sluice_sink* const sink = (sluice_sink*)writer;
    for (const sluice_record* at = records; at != records + count; ++at) {
        if (at->value.data != NULL) fwrite(at->value.data, 1, at->value.size, sink->file);
        fputc('\n', sink->file);
    }
    return (void)rejected, ferror(sink->file) ? fail(sink->host) : SLUICE_OK;
}
static sluice_status close_it(sluice_writer* w, int32_t k) { return (void)w, (void)k, SLUICE_OK; }
static sluice_status commit(sluice_sink* sink, uint64_t id, sluice_bytes* receipt) {
    (void)id, (void)receipt; /* durable before OK: the position is committed right after */
    return fflush(sink->file) == 0 && fsync(fileno(sink->file)) == 0 ? SLUICE_OK : fail(sink->host);
}

static const sluice_option options[] = {
    {SLUICE_STRING("path"), SLUICE_OPTION_PATH, SLUICE_OPTION_REQUIRED, {NULL, 0}, {NULL, 0},
     SLUICE_STRING("The file that lines are appended to."), 0, 0}};
static const sluice_sink_api api = {sizeof api, 0, NULL, open_sink, close_sink, begin, abort_it,
                                    writer_open, writer_write, close_it, commit};
static const sluice_sink_plugin plugin = {sizeof plugin, SLUICE_SINK_ABI, SLUICE_STRING("my_sink"),
    SLUICE_STRING("0.1"), SLUICE_STRING("Appends values to a file."), SLUICE_AT_LEAST_ONCE,
    SLUICE_SINK_ORDERED, options, 1, sizeof(sluice_option), &api};
const sluice_sink_plugin* sluice_sink_plugin_v1(void) { return &plugin; }
