#include "daemon/base/error.hpp"

namespace sluice {

Error with_context(std::string_view context, Error error) {
    error.message.insert(0, std::string(context) + ": ");
    return error;
}

int exit_code(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::invalid_argument: return 64;
        case ErrorCode::unavailable: return 69;
        case ErrorCode::storage: return 74;
        case ErrorCode::locked: return 75;
        case ErrorCode::configuration: return 78;
        case ErrorCode::failed:
        case ErrorCode::denied:
        case ErrorCode::not_found:
        case ErrorCode::exists:
        case ErrorCode::data_loss:
        case ErrorCode::out_of_range:
        case ErrorCode::stopping:
        case ErrorCode::fatal: return 1;
    }
    return 70;
}

std::string_view name_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::failed: return "failed";
        case ErrorCode::invalid_argument: return "invalid_argument";
        case ErrorCode::not_found: return "not_found";
        case ErrorCode::exists: return "exists";
        case ErrorCode::unavailable: return "unavailable";
        case ErrorCode::denied: return "denied";
        case ErrorCode::locked: return "locked";
        case ErrorCode::storage: return "storage";
        case ErrorCode::configuration: return "configuration";
        case ErrorCode::data_loss: return "data_loss";
        case ErrorCode::out_of_range: return "out_of_range";
        case ErrorCode::stopping: return "stopping";
        case ErrorCode::fatal: return "fatal";
    }
    return "failed";
}

}  // namespace sluice
