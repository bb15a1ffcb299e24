#include "daemon/kafka/complaint.hpp"

namespace sluice::kafka {
namespace {

// [the thread that serves the client's queue]
void on_error(rd_kafka_t* /*client*/, int code, const char* reason, void* opaque) {
    static_cast<Complaint*>(opaque)->note(static_cast<rd_kafka_resp_err_t>(code), reason);
}

}  // namespace

int Complaint::how_telling(rd_kafka_resp_err_t code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION:
            return 4;
        case RD_KAFKA_RESP_ERR__SSL:
            return 3;
        case RD_KAFKA_RESP_ERR__RESOLVE:
            return 2;
        case RD_KAFKA_RESP_ERR__TRANSPORT:
            return 1;
        default:
            return 0;
    }
}

void Complaint::note(rd_kafka_resp_err_t error, const char* text) {
    const int telling = how_telling(error);
    if (telling > 0 && telling >= how_telling(code)) *this = {error, text};
}

void record_complaints(rd_kafka_conf_t* conf, Complaint& complaint) {
    rd_kafka_conf_set_opaque(conf, &complaint);
    rd_kafka_conf_set_error_cb(conf, on_error);
}

Error explain(std::string_view context, rd_kafka_resp_err_t code, const Complaint& complaint,
              const Refused& refused) {
    Error plain = to_error(context, code, {}, refused);
    if (plain.code != ErrorCode::unavailable || complaint.reason.empty()) return plain;
    if (Complaint::how_telling(complaint.code) >= Complaint::how_telling(RD_KAFKA_RESP_ERR__RESOLVE)) {
        return to_error(context, complaint.code, complaint.reason, refused);
    }
    return to_error(context, code, std::string(rd_kafka_err2str(code)) + ": " + complaint.reason);
}

}  // namespace sluice::kafka
