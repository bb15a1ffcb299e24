#include <doctest/doctest.h>

#include <string>

#include "plugins/postgres/target_name.hpp"

using namespace sluice::plugins::postgres;

namespace {

std::string named(const std::string& connection, const std::string& schema = "public") {
    Options options;
    options.connection = connection;
    options.schema = schema;
    options.table = "orders";
    return target_name(options);
}

}  // namespace

TEST_CASE("a table's name says where it is, however the connection is written, and holds no secret") {
    CHECK(named("postgresql://jane:hunter2@db.example/shop?sslmode=verify-full&application_name=x") ==
          "db.example:5432/shop public.orders");
    CHECK(named("host=db.example port=5432 dbname=shop user=joe password=hunter2") ==
          "db.example:5432/shop public.orders");
    CHECK(named("postgresql://a:1,b:2/shop", "") == "a,b:1,2/shop orders");
    CHECK(named("host=db.example dbname=other") != named("host=db.example dbname=shop"));
    CHECK(named("host=other dbname=shop") != named("host=db.example dbname=shop"));
}

TEST_CASE("what a connection leaves to libpq is not looked up") {
    CHECK(named("postgresql://jane@/") == "(default host):5432/jane public.orders");
    CHECK(named("password=hunter2") == "(default host):5432/(default database) public.orders");
    CHECK(named("service=warehouse") ==
          "service warehouse, (default host):5432/(default database) public.orders");
    CHECK(named("hostaddr=10.0.0.1 dbname=shop") == "10.0.0.1:5432/shop public.orders");
    CHECK(named("no words at all").empty());
}
