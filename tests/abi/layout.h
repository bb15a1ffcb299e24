/* ABI 1 on machines with 64-bit pointers, field by field. Nothing in here ever changes; a field that is
 * appended to a table gets a line, and the table's size a new minimum in daemon/sink/table.cpp. */
#include <stddef.h>
#include <stdint.h>

#include "sluice/sink.h"

#ifdef __cplusplus
#define HOLDS(condition) static_assert(condition, #condition)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#endif
#define AT(type, field, offset) HOLDS(offsetof(type, field) == (offset))

#if UINTPTR_MAX == UINT64_MAX
HOLDS(sizeof(sluice_string) == 16);
HOLDS(sizeof(sluice_bytes) == 16);
HOLDS(sizeof(sluice_header) == 32);
HOLDS(sizeof(sluice_headers) == 16);
HOLDS(sizeof(sluice_record) == 80);
AT(sluice_record, key, 0);
AT(sluice_record, value, 16);
AT(sluice_record, topic, 32);
AT(sluice_record, offset, 48);
AT(sluice_record, timestamp_ms, 56);
AT(sluice_record, partition, 64);
AT(sluice_record, timestamp_type, 68);
AT(sluice_record, handle, 72);
HOLDS(sizeof(sluice_range) == 56);
AT(sluice_range, topic, 0);
AT(sluice_range, partition, 16);
AT(sluice_range, index, 20);
AT(sluice_range, from, 24);
AT(sluice_range, until, 32);
AT(sluice_range, token, 40);
HOLDS(sizeof(sluice_reject) == 24);
HOLDS(sizeof(sluice_setting) == 32);
HOLDS(sizeof(sluice_status) == 4);

AT(sluice_host, struct_size, 0);
AT(sluice_host, context, 8);
AT(sluice_host, log, 16);
AT(sluice_host, set_error, 24);
AT(sluice_host, headers, 32);
AT(sluice_host, stopping, 40);
AT(sluice_host, refuse, 48);
AT(sluice_host, memory_held, 56);
AT(sluice_option, name, 0);
AT(sluice_option, type, 16);
AT(sluice_option, flags, 20);
AT(sluice_option, default_value, 24);
AT(sluice_option, choices, 40);
AT(sluice_option, sentence, 56);
AT(sluice_option, minimum, 72);
AT(sluice_option, maximum, 80);
AT(sluice_config, struct_size, 0);
AT(sluice_config, setting_count, 4);
AT(sluice_config, settings, 8);
AT(sluice_config, pipeline, 16);
AT(sluice_config, cluster_id, 32);
AT(sluice_config, next_batch_id, 48);
AT(sluice_config, memory_max, 56);
AT(sluice_batch, struct_size, 0);
AT(sluice_batch, range_count, 4);
AT(sluice_batch, id, 8);
AT(sluice_batch, ranges, 16);
AT(sluice_batch, is_rerun, 24);
AT(sluice_rejected, struct_size, 0);
AT(sluice_rejected, kind, 4);
AT(sluice_rejected, items, 8);
AT(sluice_rejected, count, 16);
AT(sluice_sink_api, struct_size, 0);
AT(sluice_sink_api, check, 8);
AT(sluice_sink_api, open, 16);
AT(sluice_sink_api, close, 24);
AT(sluice_sink_api, begin, 32);
AT(sluice_sink_api, abort, 40);
AT(sluice_sink_api, writer_open, 48);
AT(sluice_sink_api, writer_write, 56);
AT(sluice_sink_api, writer_close, 64);
AT(sluice_sink_api, commit, 72);
AT(sluice_sink_api, guarantee, 80);
AT(sluice_sink_api, target, 88);
AT(sluice_sink_plugin, struct_size, 0);
AT(sluice_sink_plugin, abi, 4);
AT(sluice_sink_plugin, name, 8);
AT(sluice_sink_plugin, version, 24);
AT(sluice_sink_plugin, sentence, 40);
AT(sluice_sink_plugin, guarantee, 56);
AT(sluice_sink_plugin, flags, 60);
AT(sluice_sink_plugin, options, 64);
AT(sluice_sink_plugin, option_count, 72);
AT(sluice_sink_plugin, option_size, 76);
AT(sluice_sink_plugin, api, 80);
#endif

HOLDS(SLUICE_SINK_ABI == 1u);
HOLDS(SLUICE_RECEIPT_MAX == 65536);
HOLDS(SLUICE_TARGET_MAX == 1024);
HOLDS(SLUICE_OK == 0 && SLUICE_ALREADY_COMMITTED == 1 && SLUICE_RETRY == 2 && SLUICE_REJECT == 3 &&
      SLUICE_FATAL == 4);
HOLDS(SLUICE_REJECT_WHICH == 0 && SLUICE_REJECT_ALL == 1 && SLUICE_REJECT_BATCH_LOST == 2);
HOLDS(SLUICE_LOG_DEBUG == 0 && SLUICE_LOG_INFO == 1 && SLUICE_LOG_WARNING == 2 && SLUICE_LOG_ERROR == 3);
HOLDS(SLUICE_TIMESTAMP_NONE == 0 && SLUICE_TIMESTAMP_CREATE == 1 && SLUICE_TIMESTAMP_LOG_APPEND == 2);
HOLDS(SLUICE_OPTION_STRING == 0 && SLUICE_OPTION_INT == 1 && SLUICE_OPTION_BOOL == 2 &&
      SLUICE_OPTION_DURATION == 3 && SLUICE_OPTION_SIZE == 4 && SLUICE_OPTION_CHOICE == 5 &&
      SLUICE_OPTION_PATH == 6 && SLUICE_OPTION_JSON == 7);
HOLDS(SLUICE_OPTION_REQUIRED == 1u && SLUICE_OPTION_SECRET == 2u && SLUICE_SINK_ORDERED == 1u);
HOLDS(SLUICE_AT_LEAST_ONCE == 0 && SLUICE_IDEMPOTENT == 1 && SLUICE_EXACTLY_ONCE == 2);
