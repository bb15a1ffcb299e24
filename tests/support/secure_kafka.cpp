#include "tests/support/secure_kafka.hpp"

#include <array>
#include <fstream>
#include <stdexcept>

#include "daemon/kafka/handles.hpp"

namespace sluice::test {
namespace {

using kafka::Client;
using kafka::Conf;
using kafka::Deleter;
using kafka::Event;
using kafka::Queue;
using AclBinding = std::unique_ptr<rd_kafka_AclBinding_t, Deleter<rd_kafka_AclBinding_destroy>>;

constexpr int admin_timeout_ms = 30'000;

std::map<std::string, std::string> read_listeners(const std::filesystem::path& folder) {
    std::map<std::string, std::string> listeners;
    std::ifstream file(folder / "listeners");
    for (std::string name, address; file >> name >> address;) listeners[name] = address;
    if (listeners.empty()) {
        throw std::runtime_error("no Kafka with locks: run ./run test, or tests/support/kafka_secure.sh "
                                 "start build/deps/kafka " +
                                 folder.string());
    }
    return listeners;
}

Client administrator(const std::string& address) {
    Conf conf{rd_kafka_conf_new()};
    std::array<char, 512> text{};
    if (rd_kafka_conf_set(conf.get(), "bootstrap.servers", address.c_str(), text.data(), text.size()) !=
        RD_KAFKA_CONF_OK) {
        throw std::runtime_error(text.data());
    }
    Client client{rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text.data(), text.size())};
    if (!client) throw std::runtime_error(text.data());
    (void)conf.release();
    return client;
}

template <class Submit>
Event ask(const std::string& address, const std::string& what, Submit submit) {
    const Client client = administrator(address);
    const Queue queue{rd_kafka_queue_new(client.get())};
    submit(client.get(), queue.get());
    Event event{rd_kafka_queue_poll(queue.get(), admin_timeout_ms)};
    if (!event) throw std::runtime_error(what + ": no answer");
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        throw std::runtime_error(what + ": " + rd_kafka_event_error_string(event.get()));
    }
    return event;
}

}  // namespace

SecureKafka::SecureKafka()
    : folder_(SLUICE_TEST_BINARY_DIR "/kafka_secure"),
      listeners_(read_listeners(folder_)),
      admin_(listeners_.at("admin")) {}

SecureKafka& SecureKafka::real() {
    static SecureKafka kafka;
    return kafka;
}

std::string SecureKafka::address(const std::string& listener) const { return listeners_.at(listener); }

std::filesystem::path SecureKafka::tls(const std::string& file) const { return folder_ / "tls" / file; }

void SecureKafka::set_password(const std::string& user, const std::string& password) {
    using Alteration = std::unique_ptr<rd_kafka_UserScramCredentialAlteration_t,
                                       Deleter<rd_kafka_UserScramCredentialAlteration_destroy>>;
    const std::string what = "the password of " + user;
    const Alteration alteration{rd_kafka_UserScramCredentialUpsertion_new(
        user.c_str(), RD_KAFKA_SCRAM_MECHANISM_SHA_512, 4096,
        reinterpret_cast<const unsigned char*>(password.data()), password.size(), nullptr, 0)};
    rd_kafka_UserScramCredentialAlteration_t* alterations[] = {alteration.get()};
    const Event event = ask(listeners_.at("admin"), what, [&](auto* client, auto* queue) {
        rd_kafka_AlterUserScramCredentials(client, alterations, 1, nullptr, queue);
    });
    std::size_t count = 0;
    const auto** const answers = rd_kafka_AlterUserScramCredentials_result_responses(
        rd_kafka_event_AlterUserScramCredentials_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto* const error = rd_kafka_AlterUserScramCredentials_result_response_error(answers[i]);
        if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(what + ": " + rd_kafka_error_string(error));
    }
}

void SecureKafka::allow(const std::string& principal, const std::string& operation,
                        const std::string& topic) {
    std::array<char, 512> text{};
    const AclBinding binding{rd_kafka_AclBinding_new(
        RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, principal.c_str(), "*",
        operation == "read" ? RD_KAFKA_ACL_OPERATION_READ : RD_KAFKA_ACL_OPERATION_DESCRIBE,
        RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, text.data(), text.size())};
    if (!binding) throw std::runtime_error(text.data());
    rd_kafka_AclBinding_t* bindings[] = {binding.get()};
    (void)ask(listeners_.at("admin"), "allowing " + principal, [&](auto* client, auto* queue) {
        rd_kafka_CreateAcls(client, bindings, 1, nullptr, queue);
    });
}

void SecureKafka::disallow(const std::string& principal, const std::string& topic) {
    std::array<char, 512> text{};
    const AclBinding filter{rd_kafka_AclBindingFilter_new(
        RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, principal.c_str(),
        nullptr, RD_KAFKA_ACL_OPERATION_ANY, RD_KAFKA_ACL_PERMISSION_TYPE_ANY, text.data(), text.size())};
    if (!filter) throw std::runtime_error(text.data());
    rd_kafka_AclBindingFilter_t* filters[] = {filter.get()};
    (void)ask(listeners_.at("admin"), "disallowing " + principal, [&](auto* client, auto* queue) {
        rd_kafka_DeleteAcls(client, filters, 1, nullptr, queue);
    });
}

}  // namespace sluice::test
