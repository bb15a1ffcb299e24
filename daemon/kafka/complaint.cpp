#include "daemon/kafka/complaint.hpp"

namespace sluice::kafka {
namespace {

// [the thread that serves the client's queue]
void on_error(rd_kafka_t* /*client*/, int code, const char* reason, void* opaque) {
    auto& complaint = *static_cast<Complaint*>(opaque);
    const auto error = static_cast<rd_kafka_resp_err_t>(code);
    const int telling = Complaint::how_telling(error);
    if (telling > 0 && telling >= Complaint::how_telling(complaint.code)) complaint = {error, reason};
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

void record_complaints(rd_kafka_conf_t* conf, Complaint& complaint) {
    rd_kafka_conf_set_opaque(conf, &complaint);
    rd_kafka_conf_set_error_cb(conf, on_error);
}

}  // namespace sluice::kafka
