#include "relay/reactor.h"

#include <doctest/doctest.h>

#include <functional>

#include "support/usual.h"

namespace spliceport {

namespace {

struct LoneReactor : private Balance, private RouteRegistry, public Reactor {
  LoneReactor(Epoll poll)
      : Balance(1), Reactor(std::move(poll), UsualSettings{}, *this, *this, 0) {}
};

LoneReactor NewReactor() {
  auto poll = Epoll::Create();
  REQUIRE(poll.ok());
  return LoneReactor(std::move(poll.value()));
}

class Task final : public Runnable, public Deletable {
 public:
  explicit Task(std::function<void()> action) : action_(std::move(action)) {}
  void OnTurn() override { action_(); }

 private:
  std::function<void()> action_;
};

}  // namespace

TEST_CASE(
    "a turn comes once, however often it was asked for, and asking during a turn is for the next "
    "round") {
  LoneReactor reactor = NewReactor();
  int turns = 0;
  Task* self = nullptr;
  Task task([&] {
    if (++turns == 1) reactor.QueueTurn(*self);
  });
  self = &task;
  reactor.QueueTurn(task);
  reactor.QueueTurn(task);
  reactor.RunTurns();
  CHECK(turns == 1);
  CHECK(reactor.HasTurns());
  reactor.RunTurns();
  CHECK(turns == 2);
  CHECK_FALSE(reactor.HasTurns());
}

TEST_CASE("who asks for a turn during its turn, and is then buried, gets none") {
  LoneReactor reactor = NewReactor();
  int turns = 0;
  std::unique_ptr<Task> task;
  task = std::make_unique<Task>([&] {
    ++turns;
    reactor.QueueTurn(*task);
    reactor.CancelTurn(*task);
    reactor.DeleteLater(std::move(task));
  });
  reactor.QueueTurn(*task);
  reactor.RunTurns();
  reactor.DeletePending();
  CHECK_FALSE(reactor.HasTurns());
  reactor.RunTurns();
  CHECK(turns == 1);
}

TEST_CASE("the dead of a round live until its end") {
  LoneReactor reactor = NewReactor();
  int turns = 0;
  auto second = std::make_unique<Task>([&] { ++turns; });
  Task* dead = second.get();
  Task first([&] { reactor.DeleteLater(std::move(second)); });
  reactor.QueueTurn(first);
  reactor.QueueTurn(*dead);
  reactor.RunTurns();
  CHECK(turns == 1);
  reactor.DeletePending();
}

}  // namespace spliceport
