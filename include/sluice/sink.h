/* sluice sink plugin ABI, version 1.
 *
 * A sink plugin is a shared object that exports one symbol, `sluice_sink_plugin_v1`, which returns a
 * constant table. This header is all it needs: C11 or C++17, no library. `sink.hpp` beside it wraps
 * the same in C++; `template/` (share/sluice) is a whole sink, `AUTHORS.md` the way to one.
 *
 * Life of a sink, one per pipeline:
 *
 *   check(config)                                         validation; touches nothing outside
 *   open(config, last receipt) -> initial receipt
 *     begin(batch)                                        same id and ranges again after a crash
 *       writer_open(range) -> writer_write(records)* -> writer_close(keep)      per range
 *     commit(batch id) -> receipt                         durable when it returns
 *     abort(batch id)                                     instead: nothing may remain visible
 *   close
 *
 * abort(id) follows whatever was begun and did not end with OK from commit(), a FATAL commit included;
 * never a begin() that failed. Before it, some ranges may have no writer yet, and others one that was
 * closed and kept. begin(id) may also follow commit(id) that answered OK, in the same open sink: when the
 * daemon could not write that down.
 *
 * A batch is run again with the same ranges, and without the records that were refused before. A range
 * may have no record at all. When an operator gives a batch up (`sluice batches replan`), its offsets come
 * again under another id, perhaps in other ranges: only after begin(), asked once more, said that the
 * batch is not there.
 *
 * Threads. Tags in brackets are symbolic threads. [pipeline] calls of one sink overlap neither each
 * other nor its open writers. [writer] calls of one writer never overlap; those of different writers
 * do. The OS thread may change from call to call. Host functions tagged [any] may be called from any
 * thread, those tagged [in call] only while the host is inside a call to this sink, on its thread.
 *
 * Memory. Who allocates frees. Arguments are borrowed for the call. What a plugin hands out through a
 * pointer (a receipt, rejects) stays valid until the next call on the same sink or writer. A receipt
 * has at most SLUICE_RECEIPT_MAX bytes.
 *
 * Text is UTF-8, pointer and length, without a NUL promised. No exception may cross this boundary.
 *
 * Growth. Tables (structs that begin with struct_size) only grow at their end; a field is read only
 * when struct_size covers it and it is not NULL. Value types (string, bytes, header, record, range,
 * reject) never change in version 1.
 */
#ifndef SLUICE_SINK_H
#define SLUICE_SINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_SINK_ABI 1u
#define SLUICE_RECEIPT_MAX 65536
#define SLUICE_TARGET_MAX 1024

#if defined(__GNUC__)
#define SLUICE_EXPORT __attribute__((visibility("default")))
#else
#define SLUICE_EXPORT
#endif

/* ---- values ----------------------------------------------------------------------------------- */

typedef struct sluice_string {
    const char* data;
    size_t size;
} sluice_string;

/* A sluice_string from a literal, also in static tables. */
#define SLUICE_STRING(literal) {(literal), sizeof(literal) - 1}

/* data == NULL is Kafka's null; data != NULL with size 0 is empty. */
typedef struct sluice_bytes {
    const uint8_t* data;
    size_t size;
} sluice_bytes;

typedef struct sluice_header {
    sluice_string name;
    sluice_bytes value;
} sluice_header;

typedef struct sluice_headers {
    const sluice_header* items;
    size_t count;
} sluice_headers;

enum {
    SLUICE_TIMESTAMP_NONE = 0,
    SLUICE_TIMESTAMP_CREATE = 1,     /* set by the producer */
    SLUICE_TIMESTAMP_LOG_APPEND = 2  /* set by the broker */
};

typedef struct sluice_record {
    sluice_bytes key;
    sluice_bytes value;
    sluice_string topic;
    int64_t offset;
    int64_t timestamp_ms; /* since 1970; any int64, -1 when there is none */
    int32_t partition;
    int32_t timestamp_type;
    const void* handle; /* the host's; what host->headers() takes */
} sluice_record;

/* Offsets [from, until) of one partition. `token` is "pipeline/batch/range": the same after a crash,
 * and never used for anything else. */
typedef struct sluice_range {
    sluice_string topic;
    int32_t partition;
    uint32_t index; /* place in the batch, from 0 */
    int64_t from;
    int64_t until;
    sluice_string token;
} sluice_range;

/* What a call answers. */
typedef int32_t sluice_status;
enum {
    SLUICE_OK = 0,
    /* begin() only: this batch is in the target, whole; its receipt is handed out again. */
    SLUICE_ALREADY_COMMITTED = 1,
    /* May work later; the host backs off. Nothing of this call was kept, but for commit(), which leaves
     * in doubt whether it was. set_error() says why. */
    SLUICE_RETRY = 2,
    /* writer_write(): see sluice_rejected. writer_close(), commit(): the batch is lost, and is run
     * again without the records that were named with host->refuse(). */
    SLUICE_REJECT = 3,
    /* A person has to look. The pipeline stops; set_error() says what to do. */
    SLUICE_FATAL = 4
};

/* ---- what the host offers ---------------------------------------------------------------------- */

enum { SLUICE_LOG_DEBUG = 0, SLUICE_LOG_INFO = 1, SLUICE_LOG_WARNING = 2, SLUICE_LOG_ERROR = 3 };

typedef struct sluice_host {
    uint32_t struct_size;
    uint32_t reserved;
    void* context; /* the host's */

    /* One line in the daemon's log, with the pipeline's name. [any] */
    void (*log)(const struct sluice_host* host, int32_t level, sluice_string message);

    /* Why the current call answers RETRY, REJECT or FATAL: for a person, with the remedy. The text is
     * copied; the last one of a call counts. [in call] */
    void (*set_error)(const struct sluice_host* host, sluice_string message);

    /* The headers of a record that was passed to the current writer_write(); parsed on demand, since
     * most sinks never look. Valid until that call returns. [in call] */
    sluice_headers (*headers)(const struct sluice_host* host, const sluice_record* record);

    /* Nonzero once the pipeline is being stopped, for a batch under way when it is aborted (shutdownTimeout):
     * a long wait should end with RETRY, within 10 s, since the daemon leaves without those who don't. [any] */
    int32_t (*stopping)(const struct sluice_host* host);

    /* Names a record of the begun batch that the target refused after it had been taken: an
     * acknowledgement that came late, a constraint that is checked at the end. `range_index` is the
     * place of its range in the batch. For writer_write() that answers REJECT with
     * SLUICE_REJECT_BATCH_LOST, writer_close() and commit() that answer REJECT; forgotten otherwise.
     * The reason is copied. [in call] */
    void (*refuse)(const struct sluice_host* host, uint32_t range_index, int64_t offset,
                   sluice_string reason);

    /* How many bytes the sink holds just now of what sluice_config.memory_max bounds; for `sluice status`
     * and metrics. Worth a call where that is more than a few MiB. [any] */
    void (*memory_held)(const struct sluice_host* host, uint64_t bytes);
} sluice_host;

/* ---- configuration ----------------------------------------------------------------------------- */

enum {
    SLUICE_OPTION_STRING = 0,
    SLUICE_OPTION_INT = 1,      /* handed over as decimal digits */
    SLUICE_OPTION_BOOL = 2,     /* "true" or "false" */
    SLUICE_OPTION_DURATION = 3, /* "5s" in YAML, milliseconds here */
    SLUICE_OPTION_SIZE = 4,     /* "64MiB" in YAML, bytes here */
    SLUICE_OPTION_CHOICE = 5,   /* one of `choices`, separated by '|' */
    SLUICE_OPTION_PATH = 6,     /* absolute here, whatever it was in YAML */
    SLUICE_OPTION_JSON = 7      /* any YAML below the key, handed over as JSON text */
};

enum { SLUICE_OPTION_REQUIRED = 1u, SLUICE_OPTION_SECRET = 2u };

typedef struct sluice_option {
    sluice_string name; /* camelCase */
    int32_t type;
    uint32_t flags;
    sluice_string default_value; /* as in YAML; data == NULL: none, the option is absent when unset */
    sluice_string choices;
    sluice_string sentence; /* documentation, one sentence */
    int64_t minimum;        /* INT, DURATION, SIZE: bounds, both included; 0 and 0: none */
    int64_t maximum;
} sluice_option;

/* One option as configured, after defaults; every present option is there, checked against its type. */
typedef struct sluice_setting {
    sluice_string name;
    sluice_string value;
} sluice_setting;

typedef struct sluice_config {
    uint32_t struct_size;
    uint32_t setting_count;
    const sluice_setting* settings;
    sluice_string pipeline;       /* in open() the name that it had when its checkpoint was made, and that its
                                   * tokens have: renamedFrom does not change it. Else the one configured */
    sluice_string cluster_id;     /* of the source; empty in check() */
    uint64_t next_batch_id;       /* the lowest id that can be asked for next; 0 at the first start */
    uint64_t memory_max;          /* bytes that the sink may buffer, all its writers together: its part of
                                   * the daemon's memoryMax, in open(). 0: nobody bounds it */
} sluice_config;

/* ---- calls -------------------------------------------------------------------------------------- */

typedef struct sluice_sink sluice_sink;     /* the plugin's */
typedef struct sluice_writer sluice_writer; /* the plugin's */

typedef struct sluice_batch {
    uint32_t struct_size;
    uint32_t range_count;
    uint64_t id; /* ascending, never used twice for other ranges */
    const sluice_range* ranges;
    int32_t is_rerun; /* this id may have been begun before, by this process or by one that died */
    int32_t reserved;
} sluice_batch;

enum {
    SLUICE_REJECT_WHICH = 0,     /* `items` were refused, all others of the call were kept */
    SLUICE_REJECT_ALL = 1,       /* nothing of the call was kept; the host bisects to find the bad ones */
    SLUICE_REJECT_BATCH_LOST = 2 /* the whole batch is lost (a failed COPY): it is aborted and run again
                                    without `items`, and without what host->refuse() named. With none
                                    of either (a lost connection) it is run again after back-off */
};

typedef struct sluice_reject {
    size_t index; /* into the records of the call */
    sluice_string reason;
} sluice_reject;

typedef struct sluice_rejected {
    uint32_t struct_size;
    int32_t kind;
    const sluice_reject* items;
    size_t count;
} sluice_rejected;

typedef struct sluice_sink_api {
    uint32_t struct_size; /* sizeof(sluice_sink_api) in the plugin's build */
    uint32_t reserved;

    /* Optional (may be NULL). Says whether the options fit together, without touching anything outside
     * the process: it runs in `sluice validate`. OK, or FATAL with set_error(). [any] */
    sluice_status (*check)(const sluice_host* host, const sluice_config* config);

    /* Creates one sink for one pipeline. `host` lives until close() returns, `config` during the call
     * only. `receipt` is what the last committed batch (or the first open) returned, from this plugin
     * with the same required options (but secret ones) only; data == NULL at the very first start.
     * `initial_receipt` may be set; it is stored before the first batch is planned.
     * OK, RETRY (the target is not reachable), FATAL. On OK `*sink` is set. [pipeline] */
    sluice_status (*open)(const sluice_host* host, const sluice_config* config, sluice_bytes receipt,
                          sluice_sink** sink, sluice_bytes* initial_receipt);

    /* Frees the sink. No batch is begun: after begin() comes commit() or abort() first. [pipeline] */
    void (*close)(sluice_sink* sink);

    /* A batch is about to be written. On a re-run an exactly-once sink finds whatever an earlier attempt
     * left: committed whole -> ALREADY_COMMITTED with the receipt that commit() gave, the same bytes;
     * anything less is removed. An idempotent sink may overwrite it instead, an at-least-once one may add
     * to it; neither has to know.
     * OK, ALREADY_COMMITTED, RETRY, FATAL. [pipeline] */
    sluice_status (*begin)(sluice_sink* sink, const sluice_batch* batch, sluice_bytes* receipt);

    /* Gives up the batch begun: nothing of it may remain visible (at-least-once: what was shown stays).
     * Also called when the outcome of commit() is in doubt (it answered RETRY); then begin() must find
     * out. OK, RETRY, FATAL. [pipeline] */
    sluice_status (*abort)(sluice_sink* sink, uint64_t batch_id);

    /* A writer for one range of the begun batch. Ranges of a sink with SLUICE_SINK_ORDERED are opened
     * one after another, in plan order. OK, RETRY, FATAL. [writer] */
    sluice_status (*writer_open)(sluice_sink* sink, const sluice_range* range, sluice_writer** writer);

    /* Takes up to `count` records of the writer's range, ascending offsets, borrowed until return.
     * RETRY: nothing was kept, the same records come again after back-off. REJECT: see sluice_rejected.
     * [writer] */
    sluice_status (*writer_write)(sluice_writer* writer, const sluice_record* records, size_t count,
                                  sluice_rejected* rejected);

    /* Frees the writer, whatever it answers. `keep` == 0: the batch is being aborted.
     * OK, RETRY (the batch is aborted and run again), REJECT (the same, at once, without what
     * host->refuse() named; with nothing named it is RETRY), FATAL. [writer] */
    sluice_status (*writer_close)(sluice_writer* writer, int32_t keep);

    /* Makes the batch durable and visible, as one. The position is committed only after OK. An empty
     * receipt leaves the one before in place.
     * OK, RETRY (in doubt: abort(id) and begin(same id) follow), REJECT (nothing was kept: the same
     * follows, without what host->refuse() named; with nothing named after back-off), FATAL. [pipeline] */
    sluice_status (*commit)(sluice_sink* sink, uint64_t batch_id, sluice_bytes* receipt);

    /* Optional (may be NULL): for a sink whose options may cost it some of its guarantee. Which one it has
     * with these, SLUICE_AT_LEAST_ONCE …; the lower one of this and the table's is what operators are
     * shown. Touches nothing outside the process. [any] */
    int32_t (*guarantee)(const sluice_config* config);

    /* Optional (may be NULL): for a sink whose required options do not tell its target from others (a
     * connection that is secret). Names what one pipeline alone may write to, as "host:port/database table":
     * two pipelines with the same answer are refused, and the operator is shown it, so it holds no secret.
     * The same options give the same answer. Writes up to `capacity` bytes (SLUICE_TARGET_MAX) of UTF-8
     * without control characters and without a NUL at the end to `buffer`, and answers how many; more than
     * `capacity` is a mistake of the plugin. 0: nothing to say, and the required options that are not secret
     * stand for it. `config` is that of check(), which said OK; both arguments are valid during the call.
     * Connects to nothing, touches nothing outside the process. [any] */
    size_t (*target)(const sluice_config* config, char* buffer, size_t capacity);
} sluice_sink_api;

/* ---- the table ---------------------------------------------------------------------------------- */

enum {
    SLUICE_AT_LEAST_ONCE = 0, /* a re-run may write again what a crash left behind */
    SLUICE_IDEMPOTENT = 1,    /* a re-run overwrites */
    SLUICE_EXACTLY_ONCE = 2   /* a killed daemon leaves neither gap nor duplicate */
};

enum { SLUICE_SINK_ORDERED = 1u }; /* needs the order of a partition: one writer at a time */

typedef struct sluice_sink_plugin {
    uint32_t struct_size; /* sizeof(sluice_sink_plugin) in the plugin's build */
    uint32_t abi;         /* SLUICE_SINK_ABI */
    sluice_string name;   /* what `plugin:` says; also the file's name without ".so" */
    sluice_string version;
    sluice_string sentence;
    int32_t guarantee; /* with its defaults */
    uint32_t flags;
    const sluice_option* options;
    uint32_t option_count;
    uint32_t option_size; /* sizeof(sluice_option) in the plugin's build */
    const sluice_sink_api* api;
} sluice_sink_plugin;

/* The one exported symbol. The table is constant and lives as long as the process. */
SLUICE_EXPORT const sluice_sink_plugin* sluice_sink_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* SLUICE_SINK_H */
