// A transaction that ends under another leader than it began: its marker has a later epoch than its records.
#include <doctest/doctest.h>

#include "tests/support/e2e.hpp"
#include "tests/support/kafka_cluster.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("what a new leader appended after the last visible record is not taken for a truncated log") {
    KafkaCluster& cluster = KafkaCluster::real();
    for (const bool commits : {true, false}) {
        CAPTURE(commits);
        const WorkFolder folder(commits ? "handover-committed" : "handover-aborted");
        const std::string topic = Kafka::unique("handover");
        cluster.client().create_topic(topic, 1);
        cluster.await_in_sync(topic, 1);
        std::int64_t serial = 0;
        const auto order = [&](std::int64_t) {
            Record record;
            record.value = "order " + std::to_string(serial++);
            return record;
        };
        cluster.client().produce(topic, 20, order);
        {
            Transaction transaction(cluster.client());
            transaction.produce(topic, 5, order);
            const int leader = cluster.leader(topic, 0);
            cluster.stop(leader);
            (void)cluster.await_leader_other_than(leader, topic, 0);
            if (!commits) transaction.produce(topic, 5, order);  // invisible, under the new leader
            if (commits) transaction.commit();
            else transaction.abort();
            cluster.start(leader);
            cluster.await_in_sync(topic, 1);
        }
        PipelineYaml pipeline;
        pipeline.topics = {topic};
        pipeline.out = folder.path() / "out";
        pipeline.extra = "errors: { retry: { timeout: 20s } }\n";
        DaemonProcess daemon(folder.path(),
                             config_yaml(folder.path(), pipeline_yaml(cluster.bootstrap(), pipeline)));
        // Each run reads from the position that the one before left, with a client of its own.
        for (int run = 0; run < 3; ++run) {
            CAPTURE(run);
            daemon.start();
            const auto ended = daemon.wait();
            REQUIRE_MESSAGE(ended, daemon.log());
            CHECK_MESSAGE(ended->code == 0, daemon.log());
            CHECK(difference(visible_in_kafka(cluster.bootstrap(), {topic}),
                             delivered_in(folder.path() / "out")) == "");
            cluster.client().produce(topic, 5, order);
        }
    }
}
