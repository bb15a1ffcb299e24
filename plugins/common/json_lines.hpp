#pragma once
// One record as one line of JSON: the `format: json` of every plugin that writes text.
//
//   {"topic":"orders","partition":0,"offset":7,"timestamp":1700000000000,"timestampType":"CreateTime",
//    "key":"k","headers":[["trace","a1"],["raw",{"base64":"/w=="}]],"value":"hello"}
//
// A text is a JSON string when it is valid UTF-8 and null when it is Kafka's null. Bytes that are
// no UTF-8 go, losslessly, into "keyBase64" or "valueBase64" instead of "key" or "value"; in a
// header pair {"base64":…} stands in their place. "timestamp" is null when the record has none.

#include <string>

#include "sluice/sink.h"

namespace sluice::plugins {

enum class ValueMode {
    text,  ///< the value is a string
    json,  ///< a value that is valid JSON stands there as it is; any other is a string as above
};

/// Appends the record and a '\n' to `out`; there is no other line break in what is appended, not
/// even behind a pretty-printed JSON value, whose line breaks are left out. Numbers, key order and
/// duplicate keys of an embedded value stay as they are.
///
/// Allocates only when `out` has to grow: clear() and reuse it. Never fails but by std::bad_alloc,
/// and then `out` may end in a part of the line.
void append_json_line(std::string& out, const sluice_record& record, sluice_headers headers,
                      ValueMode value_mode);

/// `text` as a JSON string, quotes included. When it is no valid UTF-8 answers false and leaves
/// `out` as it was.
bool append_json_string(std::string& out, sluice_bytes text);

/// RFC 4648, section 4, with padding.
void append_base64(std::string& out, sluice_bytes bytes);

}  // namespace sluice::plugins
