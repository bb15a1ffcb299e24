// The whole tool against a daemon's door, and without one.

#include "daemon/cli/tool.hpp"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "daemon/control/server.hpp"
#include "tests/unit/api/support.hpp"

namespace sluice::cli {
namespace {

using api::test::ApiFixture;
using pipeline::State;
namespace asio = boost::asio;

class TempDir {
 public:
    TempDir() {
        char name[] = "/tmp/sluice-cli-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path file(const std::string& name) const { return path_ / name; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(file(name)) << text; }

 private:
    std::filesystem::path path_;
};

struct Ran {
    int code = -1;
    std::string out;
    std::string err;
};

Ran run(std::vector<std::string> arguments, const std::string& input = {}, const ConnectionOptions& defaults = {}) {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    static const operations::test::FixedClock clock;
    const int code = run_tool(arguments, in, out, err, defaults, clock);
    return {code, out.str(), err.str()};
}

/// The routes of an ApiFixture behind a control socket.
class Door {
 public:
    explicit Door(ApiFixture& fixture) : server_(io_.get_executor(), router_of(fixture)) {
        REQUIRE(server_.listen_unix(directory_.file("control.sock")));
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Door() {
        asio::co_spawn(io_, server_.stop(Milliseconds{1000}), asio::use_future).get();
        work_.reset();
        thread_.join();
    }
    Ran run(std::vector<std::string> arguments) const {
        arguments.insert(arguments.end(), {"--socket", directory_.file("control.sock").string()});
        return cli::run(std::move(arguments));
    }

 private:
    static control::Router router_of(ApiFixture& fixture) {
        control::Router router;
        api::add_routes(router, fixture.api_context());
        return router;
    }
    TempDir directory_;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
    control::Server server_;
    std::thread thread_;
};

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("status of a daemon exits 0, and 2 when a pipeline needs a person") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::running);
    const Door door(fixture);
    const Ran good = door.run({"status"});
    CHECK(good.code == 0);
    CHECK(contains(good.out, "orders    RUNNING"));
    fixture.engine.statuses[0].state = State::failed;
    CHECK(door.run({"status", "orders"}).code == 2);
    const Ran as_json = door.run({"status", "--json"});
    CHECK(as_json.code == 2);
    CHECK(boost::json::parse(as_json.out).at("pipelines").at(0).at("state") == "FAILED");
}

TEST_CASE("plan, batches, offsets and losses are asked of the daemon") {
    ApiFixture fixture;
    fixture.start_with({});
    fixture.commit(fixture.put_plan({{{"orders", 0}, 1000, 1500}}));
    fixture.engine.runs("orders", State::paused);
    const Door door(fixture);
    const Ran plan = door.run({"plan"});
    CHECK(plan.code == 0);
    CHECK(contains(plan.out, "the next batch is orders/1"));
    CHECK(contains(plan.out, "299,500 offsets in 7 ranges of 4 partitions"));
    CHECK(contains(door.run({"batches", "list", "orders"}).out, "orders/0  committed"));
    CHECK(contains(door.run({"batches", "show", "orders/0"}).out, "orders/0  committed"));
    CHECK(contains(door.run({"batches", "show", "orders", "0"}).out, "orders/0  committed"));
    CHECK(contains(door.run({"batches", "find", "orders", "orders/0@1499"}).out, "orders/0@1499 in range 0"));
    CHECK(door.run({"batches", "find", "orders", "orders/0@1500"}).code == 1);
    CHECK(contains(door.run({"offsets", "get", "orders"}).out, "orders/0      1500"));
    CHECK(door.run({"losses", "list"}).code == 0);
    REQUIRE(fixture.store->put_losses(
        "orders", {{{{"orders", 0}, plan::LossKind::expired, "id-o", 812, 1000, 1000}, {}, {}, false}}));
    CHECK(door.run({"losses", "list"}).code == 2);
    CHECK(boost::json::parse(door.run({"losses", "list", "--json"}).out).at("pipelines").at(0).at("unaccepted") == 1);
}

TEST_CASE("offsets move with --execute only") {
    ApiFixture fixture;
    fixture.start_with({{{"orders", 0}, 8000}});
    fixture.engine.runs("orders", State::paused);
    const Door door(fixture);
    const Ran dry = door.run({"offsets", "set", "orders", "orders/0@8124", "orders/1@2000"});
    CHECK(dry.code == 0);
    CHECK(contains(dry.out, "orders/0     8000   8124    +124"));
    CHECK(contains(dry.out, "dry run"));
    CHECK(fixture.position({"orders", 0}) == 8000);
    const Ran done = door.run({"offsets", "set", "orders", "orders/0@8124", "--execute"});
    CHECK(contains(done.out, "rereads its checkpoint"));
    CHECK(fixture.position({"orders", 0}) == 8124);
    CHECK(door.run({"offsets", "reset", "orders", "--to-latest", "--execute"}).code == 0);
    CHECK(fixture.position({"orders", 0}) == 151'000);
    CHECK(door.run({"offsets", "reset", "orders", "orders/0", "--shift-by", "-10", "--execute"}).code == 0);
    CHECK(fixture.position({"orders", 0}) == 150'990);
    CHECK(door.run({"offsets", "skip", "orders", "orders/0@150990", "--execute"}).code == 0);
    CHECK(fixture.position({"orders", 0}) == 150'991);

    CHECK(door.run({"offsets", "reset", "orders"}).code == 64);
    CHECK(door.run({"offsets", "reset", "orders", "--to-latest", "--to-earliest"}).code == 64);
    CHECK(door.run({"offsets", "reset", "orders", "--to-datetime", "yesterday"}).code == 64);
    CHECK(door.run({"offsets", "set", "orders", "orders/0"}).code == 64);
    CHECK(door.run({"offsets", "set", "orders", "orders/0@1", "--execute", "--dry-run"}).code == 64);
    fixture.engine.statuses[0].state = State::running;
    const Ran refused = door.run({"offsets", "reset", "orders", "--to-latest", "--execute"});
    CHECK(refused.code == 1);
    CHECK(contains(refused.err, "sluice pause orders"));
}

TEST_CASE("run states, log level, reload and forget reach the daemon") {
    ApiFixture fixture;
    fixture.engine.runs("orders", State::running);
    fixture.reload = []() -> asio::awaitable<Result<api::Reloaded>> {
        co_return api::Reloaded{false, {{"s.yaml", 12, 7, "sorce", "unknown key", true}}};
    };
    const Door door(fixture);
    CHECK(door.run({"pause", "orders"}).out == "orders: paused\n");
    CHECK(door.run({"pause", "orders"}).out == "orders: paused already\n");
    CHECK(door.run({"resume", "orders"}).out == "orders: running\n");
    CHECK(door.run({"restart", "orders"}).out == "orders: restarting\n");
    const Ran partly = door.run({"stop", "orders", "other"});
    CHECK(partly.code == 1);
    CHECK(partly.out == "orders: stopped\n");
    CHECK(contains(partly.err, "there is no pipeline 'other'"));
    const Ran reload = door.run({"reload"});
    CHECK(reload.code == 78);
    CHECK(contains(reload.err, "s.yaml:12:7"));
    CHECK(door.run({"logs", "level", "loud"}).code == 64);
    CHECK(door.run({"forget", "old"}).code == 1);
}

TEST_CASE("a socket that nobody answers on is 69, whatever was asked") {
    const TempDir directory;
    const Ran ran = run({"status", "--socket", directory.file("none.sock").string()});
    CHECK(ran.code == 69);
    CHECK(contains(ran.err, "none.sock"));
    CHECK(ran.out.empty());
}

TEST_CASE("usage errors are 64 and help is 0") {
    const Ran wrong = run({"statsu"});
    CHECK(wrong.code == 64);
    CHECK(wrong.err == "sluice: unknown command 'statsu'; did you mean 'status'?\n");
    const Ran help = run({"help"});
    CHECK(help.code == 0);
    CHECK(contains(help.out, "offsets reset"));
    CHECK(contains(run({"losses", "accept", "--help"}).out, "--execute"));
    CHECK(run({"--version"}).out.starts_with("sluice "));
}

TEST_CASE("validate prints every finding and exits 78") {
    const TempDir directory;
    directory.write("bad.yaml", "pipelinez: []\ndataDir: 5\n");
    const Ran bad = run({"validate", directory.file("bad.yaml").string()});
    CHECK(bad.code == 78);
    CHECK(contains(bad.out, "bad.yaml:1:1"));
    CHECK(contains(bad.out, "did you mean 'pipelines'"));
    const Ran as_json = run({"validate", directory.file("bad.yaml").string(), "--json"});
    CHECK(as_json.code == 78);
    CHECK(boost::json::parse(as_json.out).at("valid") == false);
    const Ran missing = run({"status", "--config", directory.file("none.yaml").string()});
    CHECK(missing.code == 78);
    CHECK(contains(missing.err, "none.yaml"));
}

TEST_CASE("what-if needs neither a configuration nor a broker") {
    const Ran ran = run({"plan", "--what-if", "-"}, R"({"ranges":[{"topic":"t","partition":0,"from":0,"until":10}],"maxRecordsPerPartition":5})");
    CHECK(ran.code == 0);
    CHECK(boost::json::parse(ran.out).at("ranges").as_array().size() == 2);
    CHECK(run({"plan", "--what-if", "-"}, "nonsense").code == 64);
    CHECK(run({"plan", "--what-if", "/does/not/exist"}).code == 1);
}

}  // namespace sluice::cli
