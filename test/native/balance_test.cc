#include "balance.h"

#include <doctest/doctest.h>

namespace spliceport {

TEST_CASE("nobody gives a session away who has at most one more than the others") {
  Balance balance(3);
  CHECK_FALSE(balance.BetterThan(0).has_value());
  balance.Begin(0);
  CHECK_FALSE(balance.BetterThan(0).has_value());
}

TEST_CASE("a session goes to the worker that has fewest") {
  Balance balance(3);
  for (int i = 0; i < 4; ++i)
    balance.Begin(0);
  balance.Begin(1);
  CHECK(balance.BetterThan(0) == 2);
  balance.Begin(2);
  balance.Begin(2);
  CHECK(balance.BetterThan(0) == 1);
  CHECK_FALSE(balance.BetterThan(2).has_value());
}

TEST_CASE("a session that has ended counts no more") {
  Balance balance(2);
  balance.Begin(0);
  balance.Begin(0);
  CHECK(balance.BetterThan(0) == 1);
  balance.End(0);
  CHECK_FALSE(balance.BetterThan(0).has_value());
}

}  // namespace spliceport
