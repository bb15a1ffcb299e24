/* my_sink appends each value as a line to one file. A batch's receipt is the length of the file behind
 * it: what is longer was left by a crash, and is cut off before the batch is written again. So each
 * record is there once in the end (idempotent), and some are seen before their batch is committed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sluice/sink.h"

struct sluice_sink {
    const sluice_host* host;
    FILE* file;
    int64_t length; /* of what is committed: the receipt */
    int64_t newest; /* batch that this process committed; -1: none */
};
static sluice_status fail(const sluice_host* host, const char* why) {
    host->set_error(host, (sluice_string){why, strlen(why)});
    return SLUICE_FATAL;
}
static sluice_status fail_by_errno(const sluice_host* host) { /* a full disk passes by itself */
    const int passes = errno == ENOSPC || errno == EDQUOT;
    return fail(host, strerror(errno)), passes ? SLUICE_RETRY : SLUICE_FATAL;
}
static sluice_bytes receipt_of(const sluice_sink* sink) {
    return (sluice_bytes){(const uint8_t*)&sink->length, sizeof sink->length};
}
static int64_t size_of(const sluice_sink* sink) { return lseek(fileno(sink->file), 0, SEEK_END); }
static sluice_status open_sink(const sluice_host* host, const sluice_config* config,
                               sluice_bytes receipt, sluice_sink** opened, sluice_bytes* initial) {
    const sluice_string path = config->settings[0].value; /* the one option, and it is required */
    char* const name = strndup(path.data, path.size);
    sluice_sink* const sink = calloc(1, sizeof *sink);
    if (sink != NULL && name != NULL) sink->file = fopen(name, "ab");
    free(name);
    if (sink == NULL || sink->file == NULL) return free(sink), fail_by_errno(host);
    sink->host = host, sink->newest = -1, sink->length = size_of(sink);
    if (receipt.size == sizeof sink->length) memcpy(&sink->length, receipt.data, receipt.size);
    if (size_of(sink) < sink->length) {
        fclose(sink->file), free(sink);
        return fail(host, "the file is shorter than its last batch left it: put it back as it was");
    }
    return *opened = sink, *initial = receipt_of(sink), SLUICE_OK;
}
static void close_sink(sluice_sink* sink) { fclose(sink->file), free(sink); }
static sluice_status cut(sluice_sink* sink) { /* whatever is not committed */
    const int file = fileno(sink->file); /* stdio keeps what a full disk refused: flush, cut again */
    const int failed = ftruncate(file, sink->length) != 0 || fflush(sink->file) != 0 ||
                       ftruncate(file, sink->length) != 0;
    return clearerr(sink->file), failed ? fail_by_errno(sink->host) : SLUICE_OK;
}
static sluice_status begin(sluice_sink* sink, const sluice_batch* batch, sluice_bytes* receipt) {
    if ((int64_t)batch->id != sink->newest) return cut(sink);
    return *receipt = receipt_of(sink), SLUICE_ALREADY_COMMITTED;
}
static sluice_status abort_it(sluice_sink* sink, uint64_t id) { return (void)id, cut(sink); }
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
    const sluice_status status = ferror(sink->file) ? fail_by_errno(sink->host) : SLUICE_OK;
    if (status == SLUICE_RETRY) rejected->kind = SLUICE_REJECT_BATCH_LOST; /* some of it is written */
    return status == SLUICE_RETRY ? SLUICE_REJECT : status;
}
static sluice_status close_it(sluice_writer* w, int32_t k) { return (void)w, (void)k, SLUICE_OK; }
static sluice_status commit(sluice_sink* sink, uint64_t id, sluice_bytes* receipt) {
    if (fflush(sink->file) != 0 || fsync(fileno(sink->file)) != 0)
        return fail_by_errno(sink->host);
    sink->length = size_of(sink), sink->newest = (int64_t)id;
    return *receipt = receipt_of(sink), SLUICE_OK; /* durable: the position moves right after */
}
static const sluice_option options[] = {
    {SLUICE_STRING("path"), SLUICE_OPTION_PATH, SLUICE_OPTION_REQUIRED, {NULL, 0}, {NULL, 0},
     SLUICE_STRING("The file that lines are appended to."), 0, 0}};
static const sluice_sink_api api = {sizeof api, 0, NULL, open_sink, close_sink, begin, abort_it,
                                    writer_open, writer_write, close_it, commit, NULL, NULL};
static const sluice_sink_plugin plugin = {sizeof plugin, SLUICE_SINK_ABI, SLUICE_STRING("my_sink"),
    SLUICE_STRING("0.1"), SLUICE_STRING("Appends values to a file."), SLUICE_IDEMPOTENT,
    SLUICE_SINK_ORDERED, options, 1, sizeof(sluice_option), &api};
const sluice_sink_plugin* sluice_sink_plugin_v1(void) { return &plugin; }
