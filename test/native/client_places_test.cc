#include "relay/client_places.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace spliceport {

namespace {

Address At(const std::string& text, uint16_t port = 1) { return *Address::Parse(text, port); }

}  // namespace

TEST_CASE("client places: each client has its own, whatever port it comes from") {
  ClientPlaces places;
  CHECK(places.Take(At("192.0.2.1", 1'000), 2));
  CHECK(places.Take(At("192.0.2.1", 2'000), 2));
  CHECK_FALSE(places.Take(At("192.0.2.1", 3'000), 2));
  CHECK(places.Take(At("192.0.2.2"), 2));
  places.GiveBack(At("192.0.2.1", 9));
  CHECK(places.Take(At("192.0.2.1"), 2));
  CHECK_FALSE(places.Take(At("192.0.2.1"), 2));
}

TEST_CASE("client places: a client that has none is forgotten") {
  ClientPlaces places;
  for (int i = 0; i < 200; ++i)
    CHECK(places.Take(At("10.0.0." + std::to_string(i)), 1));
  CHECK(places.clients() == 200);
  for (int i = 0; i < 200; ++i)
    places.GiveBack(At("10.0.0." + std::to_string(i)));
  CHECK(places.clients() == 0);
}

TEST_CASE("client places: IPv4 in IPv6 is IPv4, and IPv6 counts by its network of 64 bits") {
  ClientPlaces places;
  CHECK(places.Take(At("192.0.2.1"), 1));
  CHECK_FALSE(places.Take(At("::ffff:192.0.2.1"), 1));
  CHECK(places.Take(At("2001:db8:0:1::1"), 1));
  CHECK_FALSE(places.Take(At("2001:db8:0:1:ffff::2"), 1));
  CHECK(places.Take(At("2001:db8:0:2::1"), 1));
  // The network of all zeros is none of IPv4's.
  CHECK(places.Take(At("::c000:201"), 1));
  CHECK(places.clients() == 4);
}

TEST_CASE("client places: workers that ask at the same time are never given more together") {
  constexpr int kWorkers = 4;
  ClientPlaces places;
  std::atomic<int> taken{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&] {
      for (int tries = 0; tries < 1'000; ++tries)
        if (places.Take(At("192.0.2.1"), 700)) ++taken;
    });
  }
  for (std::thread& worker : workers)
    worker.join();
  CHECK(taken == 700);
}

}  // namespace spliceport
