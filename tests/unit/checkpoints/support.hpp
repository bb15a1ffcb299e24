#pragma once
// What the checkpoint tests share: a directory of their own, small plans, children that die.

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "checkpoints/store.hpp"

namespace sluice::checkpoints::test {

/// A new directory below the system's temporary one, removed at the end of the scope.
class TempDir {
 public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
    std::filesystem::path path_;
};

/// The value; a failed REQUIRE with the error's message otherwise.
template <class T>
T must(Result<T> result);
void must(Result<void> result);
/// The error; a failed REQUIRE when there is none.
template <class T>
Error error_of(Result<T> result);

inline WallTime at_ms(std::int64_t ms) { return from_epoch_ms(ms); }
plan::PlannedRange range(const std::string& topic, int partition, std::int64_t from,
                         std::int64_t until);
Plan make_plan(std::uint64_t batch_id, std::vector<plan::PlannedRange> ranges,
               WallTime planned_at = at_ms(1'000));
/// An outcome with balanced books for each range of the plan.
Commit make_commit(const Plan& plan, WallTime committed_at = at_ms(2'000));
std::map<plan::TopicPartition, plan::Position> ends_of(const Plan& plan);
plan::Position position(std::int64_t offset, std::string topic_id = "topic-id-1");
LossEntry loss(const std::string& topic, int partition, std::int64_t from, std::int64_t until,
               bool accepted = false);
/// Plan and commit of `topic`-0 `[from, until)`.
void run_batch(Store& store, const std::string& pipeline, std::uint64_t batch_id, std::int64_t from,
               std::int64_t until, WallTime at = at_ms(1'000));

/// How a forked child ended: negative signal, or its exit code. `work` runs without doctest's handlers.
int status_of_fork(const std::function<void()>& work);

/// The helper program (child.cpp) with its standard output in a pipe.
class Child {
 public:
    explicit Child(std::vector<std::string> arguments);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// The next whole line; empty at the end of output.
    std::string line();
    void kill();
    /// Negative signal, or exit code.
    int wait();

 private:
    pid_t pid_ = -1;
    int output_ = -1;
    std::string buffer_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);
/// Files of `directory` whose name has this beginning and end, sorted by name.
std::vector<std::filesystem::path> files(const std::filesystem::path& directory,
                                         const std::string& begins, const std::string& ends);

}  // namespace sluice::checkpoints::test

#include <doctest/doctest.h>

namespace sluice::checkpoints::test {

template <class T>
T must(Result<T> result) {
    REQUIRE_MESSAGE(result.has_value(), (result ? std::string() : result.error().message));
    return std::move(result).value();
}
inline void must(Result<void> result) {
    REQUIRE_MESSAGE(result.has_value(), (result ? std::string() : result.error().message));
}
template <class T>
Error error_of(Result<T> result) {
    REQUIRE_FALSE(result.has_value());
    return std::move(result).error();
}

}  // namespace sluice::checkpoints::test
