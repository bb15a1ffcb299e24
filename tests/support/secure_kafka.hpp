#pragma once
// The broker with locks (kafka_secure.sh), and what its administrator does: users and ACLs.

#include <filesystem>
#include <string>

#include "tests/support/kafka_fixture.hpp"

namespace sluice::test {

/// What kafka.* lines of a pipeline say, without their prefix.
class SecureKafka {
 public:
    /// The broker ctest started (<build>/kafka_secure). Throws, saying how to get one, when there is none.
    static SecureKafka& real();

    /// For topics and records: the door at which everything is allowed.
    Kafka& admin() { return admin_; }
    /// "tls", "sasl_tls" or "sasl".
    [[nodiscard]] std::string address(const std::string& listener) const;
    /// ca.pem, other-ca.pem, client.pem, client.key
    [[nodiscard]] std::filesystem::path tls(const std::string& file) const;

    /// Creates the SCRAM-SHA-512 user, or gives it this password.
    void set_password(const std::string& user, const std::string& password);
    /// `operation` is "read" or "describe"; waits until the broker has it.
    void allow(const std::string& principal, const std::string& operation, const std::string& topic);
    void disallow(const std::string& principal, const std::string& topic);

 private:
    SecureKafka();
    std::filesystem::path folder_;
    std::map<std::string, std::string> listeners_;
    Kafka admin_;
};

}  // namespace sluice::test
