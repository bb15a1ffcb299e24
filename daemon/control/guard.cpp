#include "daemon/control/guard.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

namespace sluice::control {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// "[::1]:8083" and "localhost:8083" without port, brackets and the root's dot; "" when malformed.
std::string host_of(std::string_view header) {
    if (header.starts_with('[')) {
        const std::size_t close = header.find(']');
        if (close == std::string_view::npos) return {};
        const std::string_view rest = header.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') return {};
        return lower(header.substr(1, close - 1));
    }
    std::string host = lower(header.substr(0, header.find(':')));
    if (host.ends_with('.')) host.pop_back();
    return host;
}

}  // namespace

HostGuard::HostGuard(std::string_view address, std::vector<std::string> more_names) {
    boost::system::error_code error;
    const auto parsed = boost::asio::ip::make_address(std::string(address), error);
    if (!error) {
        address_ = parsed.to_string();
        any_address_ = parsed.is_unspecified();
    }
    names_.emplace_back("localhost");
    std::array<char, 256> own{};
    if (gethostname(own.data(), own.size() - 1) == 0 && own[0] != '\0') {
        names_.push_back(lower(own.data()));
    }
    for (const std::string& name : more_names) names_.push_back(lower(name));
}

bool HostGuard::allows(std::string_view host_header) const {
    const std::string host = host_of(host_header);
    if (std::find(names_.begin(), names_.end(), host) != names_.end()) return true;
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(host, error);
    if (error) return false;
    return any_address_ || address.is_loopback() || address.to_string() == address_;
}

bool is_same_origin(std::string_view origin, std::string_view host_header) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (origin.starts_with(scheme)) {
            return lower(origin.substr(scheme.size())) == lower(host_header);
        }
    }
    return false;  // "null", a file, an extension
}

}  // namespace sluice::control
