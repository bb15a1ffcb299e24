#include "daemon/sink/sink.hpp"

namespace sluice::sink {

std::string_view name_of(Status status) noexcept {
    switch (status) {
        case Status::ok:
            return "ok";
        case Status::already_committed:
            return "already-committed";
        case Status::retry:
            return "retry";
        case Status::reject:
            return "reject";
        case Status::fatal:
            return "fatal";
    }
    return "fatal";
}

std::string_view name_of(Guarantee guarantee) noexcept {
    switch (guarantee) {
        case Guarantee::at_least_once:
            return "at-least-once";
        case Guarantee::idempotent:
            return "idempotent";
        case Guarantee::exactly_once:
            return "exactly-once";
    }
    return "at-least-once";
}

}  // namespace sluice::sink
