#include "relay/pipe.h"

#include <fcntl.h>

#include <algorithm>

#include <doctest/doctest.h>

#include "base/descriptor_budget.h"
#include "relay/splice.h"
#include "support/support.h"

namespace spliceport {

namespace {

// What an engine does before its pools are used: without it there is room for one pipe.
void MeasureBudget() { REQUIRE(DescriptorBudget::OfProcess().Measure().ok()); }

}  // namespace

TEST_CASE("a pipe tells the capacity that the kernel gave it") {
  auto pipe = Pipe::Create(100'000);
  REQUIRE(pipe.ok());
  CHECK(pipe.value()->capacity_bytes() == 128 << 10);
  CHECK(pipe.value()->buffered_bytes() == 0);
}

TEST_CASE("a capacity that is refused leaves the kernel's default") {
  auto pipe = Pipe::Create(size_t{1} << 30);
  REQUIRE(pipe.ok());
  CHECK(pipe.value()->capacity_bytes() >= 4'096);
  CHECK(pipe.value()->capacity_bytes() < size_t{1} << 30);
}

TEST_CASE("the pool hands out the pipe that was given back last") {
  MeasureBudget();
  PipePool pool(1 << 20);
  auto first = pool.Take();
  auto second = pool.Take();
  REQUIRE((first && second));
  const Pipe* last = second.get();
  pool.Give(std::move(first));
  pool.Give(std::move(second));
  CHECK(pool.Take().get() == last);
}

TEST_CASE("the pool closes a pipe that has bytes in it") {
  TcpPair from = ConnectedTcpPair();
  REQUIRE(Send(from.client.get(), std::string("x")).count == 1);
  PipePool pool(1 << 20);
  auto pipe = pool.Take();
  REQUIRE(pipe);
  const int last = pipe->highest_fd();
  REQUIRE(Eventually([&] { return FillPipe(from.server.get(), *pipe).moved(); }));
  pool.Give(std::move(pipe));
  CHECK(fcntl(last, F_GETFD) == -1);
}

TEST_CASE("the pool keeps few pipes, however many it gets back") {
  MeasureBudget();
  PipePool pool(1 << 16);
  const int before = OpenDescriptors();
  std::vector<std::unique_ptr<Pipe>> taken;
  for (int i = 0; i < 20; ++i)
    taken.push_back(pool.Take());
  CHECK(OpenDescriptors() == before + 40);
  for (auto& pipe : taken)
    pool.Give(std::move(pipe));
  CHECK(OpenDescriptors() <= before + 8);
}

TEST_CASE("spliced bytes are counted in the pipe until they have left it") {
  TcpPair from = ConnectedTcpPair();
  TcpPair to = ConnectedTcpPair();
  auto created = Pipe::Create(1 << 20);
  REQUIRE(created.ok());
  Pipe& pipe = *created.value();

  CHECK(FillPipe(from.server.get(), pipe).would_block());
  REQUIRE(Send(from.client.get(), std::string(1'000, 'a')).count == 1'000);
  REQUIRE(Eventually([&] {
    FillPipe(from.server.get(), pipe);
    return pipe.buffered_bytes() == 1'000;
  }));
  CHECK(EmptyPipe(pipe, to.client.get()).count == 1'000);
  CHECK(pipe.buffered_bytes() == 0);
  CHECK(ReadUpTo(to.server.get(), 1'000) == std::string(1'000, 'a'));

  from.client.Reset();
  CHECK(Eventually([&] { return FillPipe(from.server.get(), pipe).at_end(); }));
}

TEST_CASE("a full socket leaves the rest in the pipe") {
  TcpPair from = ConnectedTcpPair();
  TcpPair to = ConnectedTcpPair();
  SetSendBuffer(to.client.get(), 4'096);
  auto created = Pipe::Create(1 << 20);
  REQUIRE(created.ok());
  Pipe& pipe = *created.value();
  const std::string block(64 << 10, 'b');
  size_t sent = 0;
  size_t passed = 0;
  Io last;
  REQUIRE(Eventually([&] {
    const Io io = Send(from.client.get(), block);
    sent += io.count;
    FillPipe(from.server.get(), pipe);
    last = EmptyPipe(pipe, to.client.get());
    passed += last.count;
    return last.would_block() && pipe.buffered_bytes() > 0;
  }));
  CHECK(passed + pipe.buffered_bytes() <= sent);
  CHECK(ReadUpTo(to.server.get(), passed).size() == passed);
}

}  // namespace spliceport
