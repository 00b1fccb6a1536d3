#include "relay/admission.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace spliceport {

namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kNow = 5 * kSecond;

Admission WithRate(int64_t max_sessions_per_second) {
  AdmissionRules rules;
  rules.max_sessions_per_second = max_sessions_per_second;
  return Admission(std::make_shared<const AdmissionRules>(std::move(rules)));
}

// How many of `tries` may enter at one moment.
int Enter(Admission& admission, int tries, int64_t now_micros) {
  ForwardCounters counters;
  int entered = 0;
  for (int i = 0; i < tries; ++i)
    entered += admission.TryEnter(now_micros, counters) ? 0 : 1;
  CHECK(counters.sessions_over_rate.Get() + counters.sessions_over_limit.Get() ==
        static_cast<uint64_t>(tries - entered));
  return entered;
}

bool IsAllowed(const std::vector<std::string>& allow, const std::vector<std::string>& deny,
               const std::string& client) {
  const auto list = [](const std::vector<std::string>& texts) {
    std::vector<Cidr> blocks;
    for (const std::string& text : texts)
      blocks.push_back(*Cidr::Parse(text));
    return CidrList(blocks);
  };
  AdmissionRules rules;
  rules.allow = list(allow);
  rules.deny = list(deny);
  const Admission admission(std::make_shared<const AdmissionRules>(std::move(rules)));
  return admission.IsAllowed(*Address::Parse(client, 1));
}

}  // namespace

TEST_CASE("admission: what is denied stays out, also of what is allowed") {
  CHECK(IsAllowed({}, {}, "192.0.2.1"));
  CHECK(IsAllowed({"192.0.2.0/24"}, {}, "192.0.2.1"));
  CHECK_FALSE(IsAllowed({"192.0.2.0/24"}, {}, "192.0.3.1"));
  CHECK_FALSE(IsAllowed({"192.0.2.0/24"}, {}, "2001:db8::1"));
  CHECK(IsAllowed({}, {"192.0.2.0/24"}, "192.0.3.1"));
  CHECK_FALSE(IsAllowed({}, {"192.0.2.0/24"}, "192.0.2.1"));
  CHECK_FALSE(IsAllowed({"192.0.2.0/24"}, {"192.0.2.1"}, "192.0.2.1"));
  CHECK_FALSE(IsAllowed({"192.0.2.1"}, {"192.0.2.0/24"}, "192.0.2.1"));
  CHECK(IsAllowed({"192.0.2.0/24"}, {}, "::ffff:192.0.2.1"));
  CHECK_FALSE(IsAllowed({}, {"192.0.2.0/24"}, "::ffff:192.0.2.1"));
}

TEST_CASE("admission: a place is taken until it is given back") {
  AdmissionRules rules;
  rules.max_sessions = 3;
  Admission admission(std::make_shared<const AdmissionRules>(std::move(rules)));
  CHECK(Enter(admission, 5, kNow) == 3);
  admission.Leave();
  admission.Leave();
  CHECK(Enter(admission, 5, kNow) == 2);
}

TEST_CASE("admission: one second's worth may come at once, and then as the time goes") {
  for (const int rate : {1, 3, 10, 1'000, 100'000}) {
    Admission admission = WithRate(rate);
    const int worth = Enter(admission, rate + 5, kNow);
    CHECK(worth == rate);
    CHECK(Enter(admission, 5, kNow) == 0);
    CHECK(Enter(admission, rate + 5, kNow + kSecond) == rate);
    // What was not used for an hour is not saved up.
    CHECK(Enter(admission, rate + 5, kNow + 3'600 * kSecond) == rate);
  }
  Admission ten = WithRate(10);
  CHECK(Enter(ten, 20, kNow) == 10);
  CHECK(Enter(ten, 20, kNow + kSecond / 10 - 1) == 0);
  CHECK(Enter(ten, 20, kNow + kSecond / 10) == 1);
  CHECK(Enter(ten, 20, kNow + kSecond / 2) == 4);
}

TEST_CASE(
    "admission: who comes too fast takes no place, and who has no place takes nothing of the "
    "rate") {
  AdmissionRules rules;
  rules.max_sessions = 2;
  rules.max_sessions_per_second = 3;
  Admission admission(std::make_shared<const AdmissionRules>(std::move(rules)));
  CHECK(Enter(admission, 9, kNow) == 2);
  admission.Leave();
  admission.Leave();
  CHECK(Enter(admission, 9, kNow) == 1);
  admission.Leave();
  CHECK(Enter(admission, 9, kNow + kSecond) == 2);
}

TEST_CASE("admission: workers that ask at the same time are never given more together") {
  constexpr int kWorkers = 4;
  AdmissionRules rules;
  rules.max_sessions = 1'000;
  rules.max_sessions_per_second = 500;
  Admission admission(std::make_shared<const AdmissionRules>(std::move(rules)));
  std::atomic<int> entered{0};
  const auto all_enter = [&](int64_t now) {
    std::vector<std::thread> workers;
    for (int i = 0; i < kWorkers; ++i) {
      workers.emplace_back([&] {
        ForwardCounters counters;
        for (int tries = 0; tries < 1'000; ++tries) {
          if (!admission.TryEnter(now, counters)) ++entered;
        }
      });
    }
    for (std::thread& worker : workers)
      worker.join();
  };
  all_enter(kNow);
  CHECK(entered == 500);
  all_enter(kNow + 10 * kSecond);
  CHECK(entered == 1'000);
  all_enter(kNow + 20 * kSecond);
  CHECK(entered == 1'000);
}

}  // namespace spliceport
