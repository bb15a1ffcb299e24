#pragma once
// Who may call a TCP listener by which name. A web page that a user of this machine looks at can send
// requests to loopback: with a name that its owner points at 127.0.0.1 (DNS rebinding, seen in
// `Host`), or from its own site (seen in `Origin`). Both are refused before a route is looked for.

#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

/// Constant once made; safe for concurrent calls.
class HostGuard {
 public:
    /// `address`     the numeric address that is listened on, without port and brackets.
    /// `more_names`  host names this machine is also called by, such as the one a scraper uses.
    HostGuard(std::string_view address, std::vector<std::string> more_names);

    /// True for loopback names and addresses, the listen address, this machine's own host name and
    /// `more_names`, each with any port (tunnels change it). A listener on all addresses takes any
    /// numeric one: rebinding needs a name.
    [[nodiscard]] bool allows(std::string_view host_header) const;

 private:
    std::vector<std::string> names_;  ///< lower case
    std::string address_;             ///< canonical
    bool any_address_ = false;
};

/// True when `origin` ("http://localhost:8083") is the site that `host_header` names, port included.
bool is_same_origin(std::string_view origin, std::string_view host_header);

}  // namespace sluice::control
