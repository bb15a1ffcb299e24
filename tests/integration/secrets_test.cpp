#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/support/e2e.hpp"
#include "tests/support/secure_kafka.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string read_all(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// One request on loopback with the lines of `head` after the request line; the whole answer.
std::string http(int port, const std::string& request, const std::string& head) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const std::string text = request + " HTTP/1.1\r\n" + head + "Connection: close\r\nContent-Length: 0\r\n\r\n";
    REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(fd, buffer, sizeof buffer)) > 0;) {
        answer.append(buffer, static_cast<std::size_t>(got));
    }
    close(fd);
    return answer;
}

int port_of(const std::string& log) {
    const auto at = log.find("port=");
    return at == std::string::npos ? 0 : std::stoi(log.substr(at + 5));
}

/// sluiced at log level debug, with HTTP on a free port.
struct Loud {
    Loud(const std::string& name, const std::string& pipelines) : folder(name), daemon(folder.path(), yaml(pipelines)) {}
    std::string yaml(const std::string& pipelines) const {
        return "dataDir: " + (folder.path() / "data").string() +
               "\nhttp: { listen: '127.0.0.1:0' }\npipelines:\n" + pipelines;
    }
    void start(const std::map<std::string, std::string>& environment = {}) {
        daemon.start(environment, {"/bin/sh", "-c", "exec \"$@\" --log-level debug", "sh"});
        REQUIRE_MESSAGE(daemon.says("ready"), daemon.log());
        port = port_of(daemon.log());
        REQUIRE(port > 0);
    }
    std::string host() const { return "Host: 127.0.0.1:" + std::to_string(port) + "\r\n"; }
    CommandResult sluice(std::vector<std::string> words) const {
        words.push_back("--config");
        words.push_back((folder.path() / "sluice.yaml").string());
        return run_command("sluice", words);
    }

    const WorkFolder folder;
    DaemonProcess daemon;
    int port = 0;
};

std::string one_pipeline(const std::string& name, const std::filesystem::path& out, const std::string& address,
                         const std::string& properties) {
    PipelineYaml pipeline;
    pipeline.name = name;
    pipeline.topics = {"nothing"};
    pipeline.trigger = "{ processingTime: 100ms }";
    pipeline.out = out / name;
    pipeline.extra = "errors: { retry: { delayMax: 500ms } }\n";
    pipeline.source_extra = properties + "kafka.debug: 'security,conf,broker'\n";
    return pipeline_yaml(address, pipeline);
}

mode_t mode_of(const std::filesystem::path& path) {
    struct stat found{};
    REQUIRE(stat(path.c_str(), &found) == 0);
    return found.st_mode & 07777;
}

}  // namespace

TEST_CASE("no secret is shown anywhere, wherever it stands and however loudly it fails") {
    SecureKafka& kafka = SecureKafka::real();
    const WorkFolder outside("secrets-files");
    const std::map<std::string, std::string> secrets{{"file", "Geheim-of-file-7391"},
                                                     {"env", "Geheim-of-env-7391"},
                                                     {"credential", "Geheim-of-credential-7391"},
                                                     {"written", "Geheim-written-7391"},
                                                     {"oidc", "Geheim-of-oidc-7391"},
                                                     {"option", "Geheim-of-a-sink-7391"}};
    std::ofstream(outside.path() / "password") << secrets.at("file") << '\n';
    std::ofstream(outside.path() / "kafka") << secrets.at("credential") << '\n';
    const std::string scram =
        "kafka.security.protocol: SASL_PLAINTEXT\nkafka.sasl.mechanisms: SCRAM-SHA-512\n"
        "kafka.sasl.username: nobody\nkafka.sasl.password: ";
    const std::string plain =
        "kafka.security.protocol: SASL_PLAINTEXT\nkafka.sasl.mechanisms: PLAIN\n"
        "kafka.sasl.username: nobody\nkafka.sasl.password: ";
    const std::string oidc =
        "kafka.security.protocol: SASL_PLAINTEXT\nkafka.sasl.mechanisms: OAUTHBEARER\n"
        "kafka.sasl.oauthbearer.method: oidc\nkafka.sasl.oauthbearer.client.id: me\n"
        "kafka.sasl.oauthbearer.token.endpoint.url: 'http://127.0.0.1:1/token'\n"
        "kafka.sasl.oauthbearer.client.secret: ";
    const std::string door = kafka.address("sasl");
    const auto out = outside.path() / "out";
    PipelineYaml database;  // a secret option of a plugin, and a server that is not there
    database.name = "f";
    database.topics = {"nothing"};
    database.trigger = "{ processingTime: 100ms }";
    database.sink = "plugin: postgres\nconnection: 'postgresql://me:" + secrets.at("option") +
                    "@127.0.0.1:1/warehouse'\ntable: t\n";
    database.extra = "errors: { retry: { delayMax: 500ms } }\n";
    Loud loud("secrets",
              one_pipeline("a", out, door, scram + "'${file:" + (outside.path() / "password").string() + "}'\n") +
                  one_pipeline("b", out, door, plain + "'${env:SLUICE_TEST_SECRET}'\n") +
                  one_pipeline("c", out, door, scram + "'${credential:kafka}'\n") +
                  one_pipeline("d", out, door, plain + "'" + secrets.at("written") + "'\n") +
                  one_pipeline("e", out, door, oidc + "'" + secrets.at("oidc") + "'\n") +
                  pipeline_yaml(kafka.admin().bootstrap(), database));
    loud.start({{"SLUICE_TEST_SECRET", secrets.at("env")}, {"CREDENTIALS_DIRECTORY", outside.path()}});
    // The tool reads the same configuration.
    setenv("SLUICE_TEST_SECRET", secrets.at("env").c_str(), 1);
    setenv("CREDENTIALS_DIRECTORY", outside.path().c_str(), 1);
    // Refused, refreshed, refused again: every way a login can be talked about.
    for (const std::string name : {"a", "b", "c", "d"}) {
        CHECK_MESSAGE(wait_until(
                          [&] {
                              const auto status = loud.sluice({"status", name, "--json"});
                              return status.out.find("_AUTHENTICATION") != std::string::npos;
                          },
                          std::chrono::seconds{60}),
                      name);
    }
    CHECK(wait_until([&] { return loud.sluice({"status", "f", "--json"}).out.find("127.0.0.1") != std::string::npos; }));
    std::map<std::string, std::string> shown;
    for (const std::string path : {"/", "/health", "/ready", "/metrics", "/api/status", "/api/pipelines/a",
                                   "/api/pipelines/a/offsets", "/connectors", "/connectors/a/config", "/api/pipelines/f"}) {
        shown["GET " + path] = http(loud.port, "GET " + path, loud.host());
    }
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"status"}, {"status", "--json"}, {"validate"}, {"validate", "--json"},
          {"plugins", "--json"}, {"plan", "a"}, {"plan", "e", "--json"}, {"reload"}, {"losses", "list", "a"}}) {
        const auto result = loud.sluice(words);
        shown["sluice " + words.front() + " " + words.back()] = result.out + result.err;
    }
    unsetenv("SLUICE_TEST_SECRET");
    unsetenv("CREDENTIALS_DIRECTORY");
    const std::string process = "/proc/" + std::to_string(loud.daemon.pid());
    shown["command line"] = read_all(process + "/cmdline");
    std::istringstream limits(read_all(process + "/limits"));
    std::string cores;
    while (std::getline(limits, cores) && cores.rfind("Max core file size", 0) != 0) {
    }
    std::istringstream words(cores.substr(std::min(cores.size(), std::string("Max core file size").size())));
    int bytes = -1;
    words >> bytes;
    CHECK_MESSAGE((bytes == 0 || bytes == 1), cores);
    // No child inherits the environment, because there is none.
    for (const auto& thread : std::filesystem::directory_iterator(process + "/task")) {
        CHECK(read_all(thread.path() / "children") == "");
    }
    loud.daemon.signal(SIGTERM);
    CHECK(loud.daemon.wait(std::chrono::seconds{60}));
    shown["log"] = loud.daemon.log();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(loud.folder.path() / "data")) {
        if (entry.is_regular_file()) shown[entry.path()] = read_all(entry.path());
    }
    CHECK(shown.at("log").find("sasl.password") != std::string::npos);  // it was loud
    CHECK(shown.at("sluice status --json").find("RETRYING") != std::string::npos);
    for (const auto& [where, text] : shown) {
        for (const auto& [which, secret] : secrets) {
            CHECK_MESSAGE(text.find(secret) == std::string::npos, (which + " shown in " + where));
        }
    }
}

TEST_CASE("the data directory is its owner's, the socket its group's, and HTTP only answers its own hosts") {
    SecureKafka& kafka = SecureKafka::real();
    const WorkFolder outside("doors-out");
    Loud loud("doors", one_pipeline("a", outside.path(), kafka.address("admin"), ""));
    const mode_t before = umask(0);
    loud.start();
    umask(before);
    CHECK(mode_of(loud.folder.path() / "data") == 0700);
    CHECK(mode_of(loud.folder.path() / "data" / "control.sock") == 0660);
    const auto answers = [&](const std::string& request, const std::string& head, const std::string& code) {
        const std::string answer = http(loud.port, request, head);
        CHECK_MESSAGE(answer.find("HTTP/1.1 " + code) == 0, (request + " → " + answer));
    };
    answers("GET /api/status", loud.host(), "200");
    answers("PUT /api/pipelines/a/pause", loud.host(), "403");
    answers("POST /api/reload", loud.host(), "403");
    answers("GET /api/status", "Host: evil.example\r\n", "4");
    answers("GET /api/status", loud.host() + "Origin: http://evil.example\r\n", "403");
    loud.daemon.signal(SIGTERM);
    CHECK(loud.daemon.wait());
}
