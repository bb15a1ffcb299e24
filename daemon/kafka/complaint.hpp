#pragma once
// What a client last complained about: calls that need a broker only ever answer "timed out", and a
// consumer that can't log in is silent. Included by daemon/kafka/*.cpp only.

#include <string>
#include <string_view>

#include "daemon/kafka/handles.hpp"

namespace sluice::kafka {

/// Written by the client's error callback, on the thread that serves its queue; so confined to that.
struct Complaint {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string reason;

    /// How much it says: 0 nothing, 1 no connection, 2 no such host, 3 no TLS, 4 no login.
    [[nodiscard]] static int how_telling(rd_kafka_resp_err_t code);
    /// The cluster refused this client: waiting longer with the same credentials is of no use.
    [[nodiscard]] bool is_refusal() const { return how_telling(code) >= 3; }

    /// What a client's error callback was told; kept when it says as much as what is here.
    void note(rd_kafka_resp_err_t error, const char* text);
};

/// From now on `complaint`, which outlives the client, has the most telling error since it was cleared.
void record_complaints(rd_kafka_conf_t* conf, Complaint& complaint);

/// The error of a call that failed with `code`, in the words of whatever caused it: a login that was
/// refused, behind a call that only timed out.
Error explain(std::string_view context, rd_kafka_resp_err_t code, const Complaint& complaint,
              const Refused& refused);

}  // namespace sluice::kafka
