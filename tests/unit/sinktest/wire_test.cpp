#include "daemon/sinktest/wire.hpp"

#include <doctest/doctest.h>

namespace sluice::sinktest {

TEST_CASE("a request and an answer arrive as they were sent") {
    Request request;
    request.op = Op::begin;
    request.context = {"p", "c", 5, std::string("a\0b", 3)};
    request.batch = {7, true, {{"orders", 2, 1, 3, 9, "p/7/1"}}};
    request.flavor = Flavor::odd;
    request.known = {{1, 4, "why"}};
    request.until = -1;
    request.keep = false;
    const Request there = decoded_request(encoded(request));
    CHECK(encoded(there) == encoded(request));
    CHECK(there.context.receipt == request.context.receipt);
    CHECK(there.batch.ranges.at(0).token == "p/7/1");
    CHECK(there.known.at(0).reason == "why");
    CHECK_FALSE(there.keep);

    Answer answer;
    answer.status = sink::Status::reject;
    answer.receipt = std::string("\0\xff", 2);
    answer.refused = {{0, 5'000'000'000, "too far"}};
    answer.threads = 3;
    const Answer back = decoded_answer(encoded(answer));
    CHECK(encoded(back) == encoded(answer));
    CHECK(back.status == sink::Status::reject);
    CHECK(back.receipt == answer.receipt);
    CHECK(back.refused.at(0).offset == 5'000'000'000);
}

}  // namespace sluice::sinktest
