#include "daemon/checkpoint_guard.hpp"

#include "tests/unit/checkpoints/support.hpp"

using namespace sluice;
using namespace sluice::checkpoints;
using namespace sluice::checkpoints::test;

namespace {

config::Pipeline pipeline(const std::string& name, const std::string& target = "",
                          std::optional<std::string> renamed_from = std::nullopt) {
    config::Pipeline made;
    made.name = name;
    made.renamed_from = std::move(renamed_from);
    made.sink.plugin = "file";
    made.sink.target = target;
    return made;
}

config::Config config_of(std::vector<config::Pipeline> pipelines) {
    config::Config made;
    made.pipelines = std::move(pipelines);
    return made;
}

/// A store that `names` wrote to; each one's sink kept a receipt, when it has a target.
std::unique_ptr<Store> store_of(const std::vector<config::Pipeline>& pipelines) {
    auto store = make_memory_store();
    for (const config::Pipeline& one : pipelines) {
        run_batch(*store, one.name, 0, 0, 10);
        if (!one.sink.target.empty()) {
            must(store->put_initial_receipt(one.name, {one.sink.plugin, one.sink.target, "bytes"}));
        }
    }
    return store;
}

std::string refusal(const Store& store, const config::Config& config) {
    return error_of(match_checkpoint(store, config)).message;
}

}  // namespace

TEST_CASE("a pipeline that writes where a missing one wrote is refused with the line to write") {
    const auto store = store_of({pipeline("orders", "/out")});
    CHECK(refusal(*store, config_of({pipeline("sales", "/out")})).find("renamedFrom: orders") != std::string::npos);
    SUBCASE("another target is another pipeline") {
        CHECK(must(match_checkpoint(*store, config_of({pipeline("sales", "/elsewhere")}))).empty());
    }
    SUBCASE("while the old one is there, they are two") {
        CHECK(must(match_checkpoint(*store, config_of({pipeline("orders", "/out"), pipeline("sales", "/out")})))
                  .empty());
    }
}

TEST_CASE("where targets have no name, what is read tells whether it is the same pipeline") {
    const auto store = store_of({pipeline("copies")});
    must(store->put_initial_receipt("copies", {"kafka", "", "bytes"}));
    config::Pipeline other = pipeline("mirror");
    other.sink.plugin = "kafka";
    const auto reads = [&](config::Subscription subscription) {
        other.source.subscription = std::move(subscription);
        return !match_checkpoint(*store, config_of({other}));
    };
    CHECK(reads(config::Topics{{"orders", "payments"}}));
    CHECK(reads(config::Assignment{{{"orders", {0}}}}));
    CHECK(reads(config::TopicPattern{"order.*"}));
    CHECK_FALSE(reads(config::Topics{{"payments"}}));
}

TEST_CASE("renamedFrom under a pipeline that has a checkpoint already is refused, not passed over") {
    const auto store = store_of({pipeline("orders"), pipeline("sales")});
    const auto said = refusal(*store, config_of({pipeline("sales", "", "orders")}));
    CHECK(said.find("sluice forget sales") != std::string::npos);
    CHECK(said.find("sluice forget orders") != std::string::npos);
}

TEST_CASE("who goes back to the old name is told how to keep the checkpoint") {
    const auto store = store_of({pipeline("orders", "/out")});
    must(store->rename("orders", "sales"));
    CHECK(refusal(*store, config_of({pipeline("orders", "/out")})).find("renamedFrom: sales") != std::string::npos);
    const auto back = must(match_checkpoint(*store, config_of({pipeline("orders", "/out", "sales")})));
    CHECK(back.size() == 1);
}

TEST_CASE("renamedFrom is carried out once, and nothing is changed by asking") {
    const auto store = store_of({pipeline("orders", "/out")});
    const auto config = config_of({pipeline("sales", "/out", "orders")});
    const auto renames = must(match_checkpoint(*store, config));
    REQUIRE(renames.size() == 1);
    CHECK(must(store->pipelines()) == std::vector<std::string>{"orders"});
    must(carry_out(*store, renames));
    CHECK(must(store->pipelines()) == std::vector<std::string>{"sales"});
    CHECK(must(store->load("sales")).sink_name == "orders");
    CHECK(must(match_checkpoint(*store, config)).empty());
}

TEST_CASE("a new pipeline can't have the name by which a sink knows another") {
    const auto store = store_of({pipeline("orders")});
    must(store->rename("orders", "sales"));
    CHECK(refusal(*store, config_of({pipeline("sales"), pipeline("orders")})).find("sluice forget sales") !=
          std::string::npos);
}

TEST_CASE("when one of several names can't be changed, none is") {
    const auto store = store_of({pipeline("orders"), pipeline("payments"), pipeline("taken")});
    const auto failed = error_of(carry_out(*store, {{"orders", "sales"}, {"payments", "taken"}}));
    CHECK(failed.code == ErrorCode::exists);
    CHECK(must(store->pipelines()) == std::vector<std::string>{"orders", "payments", "taken"});
}
