#include "shim/channel.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <string_view>

#include <doctest/doctest.h>

#include "net/unix_socket.h"
#include "shim/wire.h"
#include "support/support.h"

namespace spliceport::shim {

namespace {

struct Ends {
  UniqueFd one;
  UniqueFd other;
};

Ends Pair() {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string TextOf(const Frame& frame) { return {frame.payload.begin(), frame.payload.end()}; }

std::string Header(uint32_t size, char kind, uint8_t fds) {
  Writer writer;
  writer.U32(size);
  writer.U8(static_cast<uint8_t>(kind));
  writer.U8(fds);
  writer.U16(0);
  return writer.Take();
}

// More than a socket takes whose peer does not read.
const std::string& Large() {
  static const std::string large = [] {
    std::string bytes(8 << 20, '\0');
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(i * 7 + i / 4'096);
    return bytes;
  }();
  return large;
}

// Has both go on until the receiver has a frame.
std::optional<Frame> NextOf(Channel& receiver, Channel& sender) {
  for (int i = 0; i < 10'000; ++i) {
    if (auto frame = receiver.Next()) return frame;
    if (!sender.Flush() || !receiver.Fill()) break;
  }
  return receiver.Next();
}

}  // namespace

TEST_CASE("frames arrive as they were sent, with and without a payload") {
  Ends ends = Pair();
  Channel one(std::move(ends.one));
  Channel other(std::move(ends.other));
  one.Send('a', std::string_view("first"));
  one.Send('b', {});
  one.Send('c', std::string_view("third"));
  CHECK_FALSE(one.wants_to_write());
  REQUIRE(other.Fill());
  const auto first = other.Next();
  REQUIRE(first);
  CHECK(first->kind == 'a');
  CHECK(TextOf(*first) == "first");
  CHECK(other.Next()->payload.empty());
  CHECK(TextOf(*other.Next()) == "third");
  CHECK_FALSE(other.Next());
}

TEST_CASE("a frame that arrives byte by byte is there after its last byte, and not before") {
  Ends ends = Pair();
  Channel channel(std::move(ends.other));
  const std::string bytes = Header(3, 'x', 0) + "abc" + Header(0, 'y', 0);
  std::string kinds;
  for (size_t i = 0; i < bytes.size(); ++i) {
    REQUIRE(SendWhole(ends.one.get(), std::string_view(bytes).substr(i, 1)).ok());
    REQUIRE(channel.Fill());
    while (const auto frame = channel.Next())
      kinds += frame->kind + std::to_string(i);
  }
  CHECK(kinds == "x10y18");
}

TEST_CASE("each frame has its own descriptors, as many as its header says") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel one(std::move(ends.one));
    Channel other(std::move(ends.other));
    const std::vector<int> many(kMaxFdsAtOnce, one.fd());
    one.Send('n', std::string_view("none"));
    one.Send('m', std::string_view("many"), many);
    one.Send('o', std::string_view("one"), std::span(many).first(1));
    one.Send('n', std::string_view("none"));
    REQUIRE(other.Fill());
    for (const size_t count : {size_t{0}, many.size(), size_t{1}, size_t{0}}) {
      const auto frame = other.Next();
      REQUIRE(frame);
      CHECK(frame->fds.size() == count);
    }
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("what a peer does not read waits in the queue, with copies of the descriptors") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel one(std::move(ends.one));
    Channel other(std::move(ends.other));
    one.Send('l', Large());
    CHECK(one.wants_to_write());
    {
      const Ends gone = Pair();
      const int fds[] = {gone.one.get(), gone.other.get()};
      one.Send('f', std::string_view("with"), fds);
    }
    one.Send('z', {});
    const auto large = NextOf(other, one);
    REQUIRE(large);
    CHECK(TextOf(*large) == Large());
    const auto with = NextOf(other, one);
    REQUIRE(with);
    REQUIRE(with->fds.size() == 2);
    REQUIRE(SendWhole(with->fds[0].get(), std::string_view("x")).ok());
    char memory[4];
    CHECK(Receive(with->fds[1].get(), memory).count == 1);
    CHECK(NextOf(other, one)->kind == 'z');
    CHECK_FALSE(one.wants_to_write());
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a frame that leaves in pieces has its descriptors once") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel one(std::move(ends.one));
    Channel other(std::move(ends.other));
    const std::vector<int> fds(3, one.fd());
    one.Send('l', Large(), fds);
    one.Send('m', Large(), std::span(fds).first(2));
    one.Send('f', {}, std::span(fds).first(1));
    CHECK(NextOf(other, one)->fds.size() == 3);
    CHECK(NextOf(other, one)->fds.size() == 2);
    CHECK(NextOf(other, one)->fds.size() == 1);
    CHECK(OpenDescriptors() == before + 2);
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a peer that never reads breaks the connection before the queue takes all memory") {
  Ends ends = Pair();
  Channel channel(std::move(ends.one));
  int sent = 0;
  for (; sent < 100 && !channel.broken(); ++sent)
    channel.Send('l', Large());
  CHECK(channel.broken());
  CHECK(sent > 8);
  CHECK(sent < 50);
  CHECK_FALSE(channel.wants_to_write());
  CHECK_FALSE(channel.Flush());
}

TEST_CASE("a queued frame whose descriptors cannot be copied breaks the connection") {
  Ends ends = Pair();
  Channel channel(std::move(ends.one));
  channel.Send('l', Large());
  UniqueFd lowest_free(dup(ends.other.get()));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{static_cast<rlim_t>(lowest_free.get()) + 1, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  const int fds[] = {ends.other.get()};
  channel.Send('f', {}, fds);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(channel.broken());
}

TEST_CASE("a peer that closes in the middle of a frame leaves the whole ones, and the end") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel channel(std::move(ends.other));
    const int fds[] = {ends.one.get()};
    const std::string bytes = Header(2, 'a', 1) + "aa" + Header(9, 'b', 0) + "b";
    REQUIRE(SendWithFds(ends.one.get(), bytes, fds).ok());
    ends.one.Reset();
    // The frame has a copy of the peer's end.
    REQUIRE(channel.Fill());
    CHECK(channel.Next()->fds.size() == 1);
    CHECK_FALSE(channel.Fill());
    CHECK(channel.broken());
    CHECK_FALSE(channel.Next());
    channel.Send('x', std::string_view("to nobody"));
    CHECK_FALSE(channel.Flush());
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("frames that came before the end can still be taken") {
  Ends ends = Pair();
  Channel channel(std::move(ends.other));
  REQUIRE(SendWhole(ends.one.get(), Header(0, 'a', 0) + Header(0, 'b', 0)).ok());
  ends.one.Reset();
  CHECK_FALSE(channel.Fill());
  CHECK(channel.Next()->kind == 'a');
  CHECK(channel.Next()->kind == 'b');
  CHECK_FALSE(channel.Next());
}

TEST_CASE("a peer that is gone breaks the connection of who writes") {
  Ends ends = Pair();
  Channel channel(std::move(ends.one));
  channel.Send('l', Large());
  ends.other.Reset();
  CHECK_FALSE(channel.Flush());
  CHECK(channel.broken());
}

TEST_CASE("a frame that is too long breaks the connection as soon as its header is there") {
  Ends ends = Pair();
  Channel channel(std::move(ends.other));
  REQUIRE(SendWhole(ends.one.get(), Header(kMaxPayloadBytes, 'o', 0)).ok());
  CHECK(channel.Fill());
  Ends more = Pair();
  Channel second(std::move(more.other));
  REQUIRE(SendWhole(more.one.get(), Header(kMaxPayloadBytes + 1, 'o', 0)).ok());
  CHECK_FALSE(second.Fill());
}

TEST_CASE("a header with more descriptors than have come breaks the connection") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel channel(std::move(ends.other));
    const int fds[] = {ends.one.get()};
    REQUIRE(SendWithFds(ends.one.get(), Header(0, 'f', 2), fds).ok());
    CHECK_FALSE(channel.Fill());
    CHECK_FALSE(channel.Next());
    CHECK(channel.broken());
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("descriptors that belong to no frame do not gather") {
  const int before = OpenDescriptors();
  {
    Ends ends = Pair();
    Channel channel(std::move(ends.other));
    REQUIRE(SendWhole(ends.one.get(), Header(kMaxPayloadBytes, 'l', 0)).ok());
    const std::vector<int> many(kMaxFdsAtOnce, ends.one.get());
    REQUIRE(SendWithFds(ends.one.get(), std::string_view("x"), many).ok());
    CHECK(channel.Fill());
    REQUIRE(SendWithFds(ends.one.get(), std::string_view("x"), many).ok());
    CHECK_FALSE(channel.Fill());
    CHECK(OpenDescriptors() <= before + 3);
  }
  CHECK(OpenDescriptors() == before);
}

}  // namespace spliceport::shim
