#include "relay/balance.h"

#include <doctest/doctest.h>

namespace spliceport {

TEST_CASE("nobody gives a session away who has at most one more than the others") {
  Balance balance(3);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kBulk).has_value());
  balance.Begin(0, SessionKind::kBulk);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kBulk).has_value());
}

TEST_CASE("a session goes to the worker that has fewest") {
  Balance balance(3);
  for (int i = 0; i < 4; ++i)
    balance.Begin(0, SessionKind::kBulk);
  balance.Begin(1, SessionKind::kBulk);
  CHECK(balance.BetterThan(0, SessionKind::kBulk) == 2);
  balance.Begin(2, SessionKind::kBulk);
  balance.Begin(2, SessionKind::kBulk);
  CHECK(balance.BetterThan(0, SessionKind::kBulk) == 1);
  CHECK_FALSE(balance.BetterThan(2, SessionKind::kBulk).has_value());
}

TEST_CASE("a session that has ended counts no more") {
  Balance balance(2);
  balance.Begin(0, SessionKind::kBulk);
  balance.Begin(0, SessionKind::kBulk);
  CHECK(balance.BetterThan(0, SessionKind::kBulk) == 1);
  balance.End(0, SessionKind::kBulk);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kBulk).has_value());
}

TEST_CASE("sessions with messages are kept together up to a number") {
  Balance balance(2);
  for (int i = 0; i < Balance::kMessagesKeptTogether; ++i)
    balance.Begin(0, SessionKind::kMessages);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kMessages).has_value());
  balance.Begin(0, SessionKind::kMessages);
  CHECK(balance.BetterThan(0, SessionKind::kMessages) == 1);
}

TEST_CASE(
    "two sessions with messages are best apart, and one that is alone joins where there are more") {
  Balance balance(3);
  balance.Begin(0, SessionKind::kMessages);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kMessages).has_value());
  balance.Begin(0, SessionKind::kMessages);
  CHECK(balance.BetterThan(0, SessionKind::kMessages) == 1);
  balance.End(0, SessionKind::kMessages);
  balance.Begin(2, SessionKind::kMessages);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kMessages).has_value());
  CHECK_FALSE(balance.BetterThan(2, SessionKind::kMessages).has_value());
  balance.Begin(0, SessionKind::kMessages);
  CHECK_FALSE(balance.BetterThan(0, SessionKind::kMessages).has_value());
  CHECK(balance.BetterThan(2, SessionKind::kMessages) == 0);
}

TEST_CASE("nobody joins those who are as many as are best together") {
  Balance balance(2);
  balance.Begin(1, SessionKind::kMessages);
  for (int i = 0; i < Balance::kMessagesKeptTogether; ++i)
    balance.Begin(0, SessionKind::kMessages);
  CHECK_FALSE(balance.BetterThan(1, SessionKind::kMessages).has_value());
}

TEST_CASE("each kind is spread for itself, and what is not known yet counts nowhere") {
  Balance balance(2);
  for (int i = 0; i < Balance::kMessagesKeptTogether + 1; ++i) {
    balance.Begin(0, SessionKind::kMessages);
    balance.Begin(1, SessionKind::kBulk);
    balance.Begin(1, SessionKind::kUnknown);
  }
  CHECK(balance.BetterThan(0, SessionKind::kMessages) == 1);
  CHECK(balance.BetterThan(1, SessionKind::kBulk) == 0);
  CHECK_FALSE(balance.BetterThan(1, SessionKind::kMessages).has_value());
  CHECK(balance.Has(1, SessionKind::kBulk));
  CHECK_FALSE(balance.Has(0, SessionKind::kBulk));
}

}  // namespace spliceport
