#include "base/epoll.h"

#include <array>
#include <functional>
#include <span>
#include <thread>

#include <doctest/doctest.h>

#include "support/support.h"

namespace spliceport {

namespace {

class Handler final : public EventHandler {
 public:
  void OnEvents(uint32_t events) override { seen |= events; }
  uint32_t seen = 0;
};

Epoll NewEpoll() {
  auto created = Epoll::Create();
  REQUIRE(created.ok());
  return std::move(created.value());
}

// The number of events that came and were handed out.
size_t Dispatch(Epoll& poll, int timeout_millis) {
  std::array<epoll_event, 4> room{};
  const std::span<const epoll_event> events = poll.Wait(room, timeout_millis);
  poll.Dispatch(events);
  return events.size();
}

}  // namespace

TEST_CASE("events reach the handler of their descriptor, and no other") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler client;
  Handler server;
  REQUIRE(poll.Add(pair.client.get(), EPOLLIN | EPOLLET, client).ok());
  REQUIRE(poll.Add(pair.server.get(), EPOLLIN | EPOLLET, server).ok());
  REQUIRE(Send(pair.client.get(), std::string("x")).moved());
  CHECK(Dispatch(poll, 5'000) == 1);
  CHECK((server.seen & EPOLLIN) != 0);
  CHECK(client.seen == 0);
}

TEST_CASE("a removed descriptor reports nothing") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler handler;
  REQUIRE(poll.Add(pair.client.get(), EPOLLOUT, handler).ok());
  poll.Remove(pair.client.get());
  CHECK(Dispatch(poll, 0) == 0);
}

TEST_CASE("adding a descriptor twice is a failure that names the call") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler handler;
  REQUIRE(poll.Add(pair.client.get(), EPOLLIN, handler).ok());
  const auto second = poll.Add(pair.client.get(), EPOLLIN, handler);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == -EEXIST);
  CHECK(std::string(second.error().syscall) == "epoll_ctl");
}

TEST_CASE("a forgotten handler hears nothing, and its successor nothing of its events") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler first;
  Handler second;
  REQUIRE(poll.Add(pair.client.get(), EPOLLOUT, first).ok());
  poll.Forget(first);
  REQUIRE(poll.Add(pair.server.get(), EPOLLIN, second).ok());
  CHECK(Dispatch(poll, 0) == 1);
  CHECK(first.seen == 0);
  CHECK(second.seen == 0);
}

TEST_CASE("a handler hears of the descriptor that was added last for it") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler handler;
  REQUIRE(poll.Add(pair.client.get(), EPOLLOUT, handler).ok());
  REQUIRE(poll.Add(pair.server.get(), EPOLLIN, handler).ok());
  REQUIRE_FALSE(poll.Add(pair.client.get(), EPOLLIN, handler).ok());
  REQUIRE(Send(pair.client.get(), std::string("x")).moved());
  REQUIRE(Eventually([&] { return Dispatch(poll, 0) == 2; }));
  CHECK(handler.seen == EPOLLIN);
}

TEST_CASE("another thread wakes the loop, and many wakes are one") {
  Epoll poll = NewEpoll();
  auto waker = Waker::Create();
  REQUIRE(waker.ok());
  Handler handler;
  REQUIRE(poll.Add(waker.value().fd(), EPOLLIN, handler).ok());
  std::thread other([&] {
    for (int i = 0; i < 100; ++i)
      waker.value().Wake();
  });
  CHECK(Dispatch(poll, 5'000) == 1);
  other.join();
  waker.value().Drain();
  CHECK(Dispatch(poll, 0) == 0);
}

TEST_CASE("handlers that hear something are counted once in a period") {
  Epoll poll = NewEpoll();
  TcpPair pair = ConnectedTcpPair();
  Handler client;
  Handler server;
  REQUIRE(poll.Add(pair.client.get(), EPOLLOUT, client).ok());
  REQUIRE(poll.Add(pair.server.get(), EPOLLIN, server).ok());
  for (int i = 0; i < 3; ++i)
    CHECK(Dispatch(poll, 5'000) == 1);
  CHECK(poll.busy_handlers() == 1);
  poll.BeginPeriod();
  CHECK(poll.busy_handlers() == 0);
  REQUIRE(Send(pair.client.get(), std::string("x")).moved());
  CHECK(Dispatch(poll, 5'000) == 2);
  CHECK(poll.busy_handlers() == 2);
}

}  // namespace spliceport
