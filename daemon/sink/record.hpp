#pragma once
// What stands behind `sluice_record::handle`: made by whoever hands out records (kafka/, tests),
// seen by sink/ only through this, so that sink/ knows nothing of librdkafka.

#include "sluice/sink.h"

namespace sluice::sink {

/// The first member (or base) of the object that owns a record. `sluice_record::handle` points to
/// it, or is NULL for a record without headers.
struct RecordHandle {
    /// The record's headers, in order; parsed when first asked for. Called during a writer_write()
    /// only, on its thread; what it answers stays valid until that call returns. Must not throw.
    sluice_headers (*headers)(const RecordHandle* self) noexcept;
};

}  // namespace sluice::sink
