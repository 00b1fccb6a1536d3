#include "base/timer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>

#include "support/support.h"

namespace spliceport {

namespace {

constexpr int64_t kHourMicros = 3'600'000'000;

class Recorder final : public Timer {
 public:
  explicit Recorder(std::function<void()> action) : action_(std::move(action)) {}

 private:
  void OnTimer() override { action_(); }
  std::function<void()> action_;
};

}  // namespace

TEST_CASE("timers run in the order of their deadlines, and only those that are due") {
  TimerQueue queue;
  const int64_t past = NowMicros() - 1'000;
  std::vector<int> ran;
  std::vector<std::unique_ptr<Recorder>> timers;
  for (const int after : {50, 10, 40, 20, 30}) {
    timers.push_back(std::make_unique<Recorder>([&ran, after] { ran.push_back(after); }));
    queue.Arm(*timers.back(), after < 40 ? past + after : past + kHourMicros);
  }
  queue.RunDue();
  CHECK(ran == std::vector{10, 20, 30});
  CHECK(timers[0]->armed());
  CHECK_FALSE(timers[1]->armed());
}

TEST_CASE("an armed timer that is armed again moves") {
  TimerQueue queue;
  int runs = 0;
  Recorder timer([&] { ++runs; });
  queue.Arm(timer, NowMicros() - 1);
  queue.Arm(timer, NowMicros() + kHourMicros);
  queue.RunDue();
  CHECK(runs == 0);
  queue.Arm(timer, NowMicros() - 1);
  queue.RunDue();
  CHECK(runs == 1);
}

TEST_CASE("a timer may arm itself and end others while it runs") {
  TimerQueue queue;
  int other_runs = 0;
  auto other = std::make_unique<Recorder>([&] { ++other_runs; });
  int runs = 0;
  Recorder timer([&] {
    ++runs;
    other.reset();
    queue.Arm(timer, NowMicros() + kHourMicros);
  });
  queue.Arm(timer, NowMicros() - 2);
  queue.Arm(*other, NowMicros() - 1);
  queue.RunDue();
  CHECK(runs == 1);
  CHECK(other_runs == 0);
  CHECK(timer.armed());
}

TEST_CASE("a destroyed timer does not run") {
  TimerQueue queue;
  {
    Recorder timer([] { FAIL("ran"); });
    queue.Arm(timer, NowMicros() - 1);
  }
  queue.RunDue();
  CHECK(queue.MillisUntilNext() == -1);
}

TEST_CASE("the wait for the next timer is never short of it, so that the loop does not spin") {
  TimerQueue queue;
  Recorder timer([] {});
  CHECK(queue.MillisUntilNext() == -1);
  const int64_t deadline = NowMicros() + 500'000;
  queue.Arm(timer, deadline);
  const int millis = queue.MillisUntilNext();
  CHECK(millis > 0);
  CHECK(millis <= 500);
  CHECK(NowMicros() + int64_t{millis} * 1'000 >= deadline);
  queue.Arm(timer, NowMicros() - 1);
  CHECK(queue.MillisUntilNext() == 0);
  queue.Arm(timer, INT64_MAX / 2);
  CHECK(queue.MillisUntilNext() > 0);
}

TEST_CASE("any sequence of arming and cancelling leaves the queue in order") {
  std::mt19937 random(1);
  TimerQueue queue;
  const int64_t past = NowMicros() - 10'000;
  std::vector<int64_t> ran;
  std::vector<int64_t> deadlines(200, 0);
  std::vector<std::unique_ptr<Recorder>> timers;
  for (size_t i = 0; i < deadlines.size(); ++i) {
    timers.push_back(std::make_unique<Recorder>([&, i] { ran.push_back(deadlines[i]); }));
  }
  for (int step = 0; step < 5'000; ++step) {
    const size_t i = random() % timers.size();
    if (random() % 3 == 0) {
      queue.Cancel(*timers[i]);
    } else {
      deadlines[i] = past + static_cast<int64_t>(random() % 1'000);
      queue.Arm(*timers[i], deadlines[i]);
    }
  }
  const auto armed =
      std::count_if(timers.begin(), timers.end(), [](auto& t) { return t->armed(); });
  queue.RunDue();
  CHECK(ran.size() == static_cast<size_t>(armed));
  CHECK(std::is_sorted(ran.begin(), ran.end()));
}

}  // namespace spliceport
