#include "shim/data_plane.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "shim/plane_support.h"
#include "support/harness.h"
#include "support/server.h"

namespace spliceport::shim {

namespace {

// A namespace, and the path at which it can be opened.
struct Container {
  UniqueFd fd = NewNamespace();
  std::string path = "/proc/self/fd/" + std::to_string(fd.get());
};

struct SlotFacts {
  uint32_t slot;
  uint64_t dev;
  uint64_t ino;
};

SlotFacts SlotFrom(const std::string& result) {
  Reader reader(result);
  SlotFacts facts{reader.U32(), reader.U64(), reader.U64()};
  CHECK(reader.ok());
  return facts;
}

Address At(uint16_t port) { return *Address::Parse("127.0.0.1", port); }

bool IsReadable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

std::string Exchange(uint16_t port) {
  const UniqueFd client = ConnectTo(At(port));
  if (!SendAll(client.get(), "ping")) return "";
  return ReadUpTo(client.get(), 4);
}

void Echo(int fd) {
  const std::string bytes = ReadUpTo(fd, 4);
  (void)SendAll(fd, bytes);
  (void)ReadToEnd(fd);
}

bool IsRefused(uint16_t port) {
  const UniqueFd client = ConnectTo(At(port));
  return !client.valid() || ReadToEnd(client.get()).error == ECONNREFUSED;
}

}  // namespace

TEST_CASE("one request starts an engine, opens a port, and forwards to the container") {
  const Container container;
  const Server server(container.fd.get(), Echo);
  Plane plane;
  const Answer answer = plane.Do({EngineOf(), OpenOf({{}}), NetnsOf(container.path),
                                  AddOf({{.first_id = 5, .port = server.address().port()}})});
  REQUIRE(answer.error == 0);
  CHECK(answer.seq == 7);
  CHECK(answer.index == kNoIndex);
  REQUIRE(answer.results.size() == 4);
  Reader ports(answer.results[1]);
  CHECK(ports.U32() == 1);
  CHECK(Exchange(ports.U16()) == "ping");
  struct stat status {};
  REQUIRE(fstat(container.fd.get(), &status) == 0);
  const SlotFacts slot = SlotFrom(answer.results[2]);
  CHECK(slot.dev == status.st_dev);
  CHECK(slot.ino == status.st_ino);
}

TEST_CASE("a range takes its sockets in order, with successive ids and ports") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf()}).error == 0);
  const auto ports = plane.Open({{.count = 3}, {.protocol = Protocol::kUdp}});
  REQUIRE(plane
              .Do({AddOf({{.first_id = 10, .count = 3, .port = 8000},
                          {.first_id = 20, .port = 53, .protocol = Protocol::kUdp}})})
              .error == 0);
  const State state = StateOf(plane.data);
  REQUIRE(state.forwards.size() == 4);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(state.forwards[i].id == 10 + static_cast<int>(i));
    CHECK(state.forwards[i].host.port() == ports[i]);
    CHECK(state.forwards[i].target.port() == 8000 + i);
  }
  CHECK(state.forwards[3].protocol == 1);
  CHECK(state.forwards[3].host.port() == ports[3]);
  CHECK(state.next_id == 21);
}

TEST_CASE("the state has everything that a later resident needs") {
  const Container container;
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(), NetnsOf(container.path)}).error == 0);
  plane.Open({{}, {.address = "::"}, {.address = "::", .ipv6_only = true}});
  REQUIRE(plane
              .Do({AddOf({{.first_id = 1, .slot = 1},
                          {.first_id = 2, .address = "::1", .slot = 0, .source_address = 3},
                          {.first_id = 3, .slot = 1}}),
                   TextOf('B', "notes")})
              .error == 0);
  State state = StateOf(plane.data);
  CHECK(state.blob == "notes");
  REQUIRE(state.namespaces.size() == 2);
  CHECK(state.namespaces[0].path.empty());
  CHECK(state.namespaces[1].path == container.path);
  CHECK(state.namespaces[1].slot == 1);
  REQUIRE(state.forwards.size() == 3);
  CHECK(state.forwards[0].host.Text() == "127.0.0.1");
  CHECK_FALSE(state.forwards[0].dual_stack);
  CHECK(state.forwards[0].slot == 1);
  CHECK(state.forwards[1].host.Text() == "::");
  CHECK(state.forwards[1].dual_stack);
  CHECK(state.forwards[1].target == *Address::Parse("::1", 80));
  CHECK(state.forwards[1].slot == 0);
  CHECK(state.forwards[1].source_address == 3);
  CHECK_FALSE(state.forwards[2].dual_stack);
  REQUIRE(plane.Do({RetargetOf({{1, 0, "10.0.0.9", 81}, {3, -1, "10.0.0.8", 82}})}).error == 0);
  state = StateOf(plane.data);
  CHECK(state.forwards[0].slot == 0);
  CHECK(state.forwards[0].target == *Address::Parse("10.0.0.9", 81));
  CHECK(state.forwards[2].slot == 1);
  CHECK(state.forwards[2].target == *Address::Parse("10.0.0.8", 82));
}

TEST_CASE("a draining forward is in the state, with the address that it had, until it is gone") {
  const Container container;
  const Server server(container.fd.get(), Echo);
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(container.path)}).error == 0);
  const uint16_t port = plane.Open({{}})[0];
  REQUIRE(plane.Do({AddOf({{.port = server.address().port()}})}).error == 0);
  UniqueFd client = ConnectTo(At(port));
  REQUIRE(SendAll(client.get(), "ping"));
  REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  REQUIRE(plane.Do({RemoveOf(60'000, {1}), NumberOf('V', 0)}).error == 0);
  CHECK(IsRefused(port));
  State state = StateOf(plane.data);
  REQUIRE(state.forwards.size() == 1);
  CHECK(state.forwards[0].draining);
  CHECK(state.forwards[0].host == At(port));
  CHECK(state.namespaces.size() == 1);
  CHECK(plane.data.TakeGone().empty());
  client.Reset();
  REQUIRE(Eventually([&] { return IsReadable(plane.data.event_fd()); }));
  CHECK(plane.data.TakeGone() == std::vector<int>{1});
  CHECK_FALSE(IsReadable(plane.data.event_fd()));
  state = StateOf(plane.data);
  CHECK(state.forwards.empty());
  CHECK(state.next_id == 2);
  CHECK(Eventually([&] { return StateOf(plane.data).namespaces.empty(); }));
}

TEST_CASE("a namespace that only a draining forward has is found again at its slot") {
  const Container container;
  const Server server(container.fd.get(), Echo);
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(), NetnsOf(container.path)}).error == 0);
  const uint16_t port = plane.Open({{}})[0];
  REQUIRE(plane.Do({AddOf({{.port = server.address().port(), .slot = 1}})}).error == 0);
  const UniqueFd client = ConnectTo(At(port));
  REQUIRE(SendAll(client.get(), "ping"));
  REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  REQUIRE(plane.Do({RemoveOf(60'000, {1}), NumberOf('V', 1)}).error == 0);
  CHECK(StateOf(plane.data).forwards.at(0).slot == 1);
  CHECK(plane.Do({NumberOf('I', 1)}).IsMalformed());
  CHECK(SlotFrom(plane.Do({NetnsOf(container.path)}).results.at(0)).slot == 1);
  const uint16_t again = plane.Open({{}})[0];
  REQUIRE(plane.Do({AddOf({{.first_id = 2, .port = server.address().port(), .slot = 1}})}).error ==
          0);
  CHECK(Exchange(again) == "ping");
}

TEST_CASE("removed without drain, a forward's sessions and port are closed") {
  const Container container;
  const Server server(container.fd.get(), Echo);
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(container.path)}).error == 0);
  const uint16_t port = plane.Open({{}})[0];
  REQUIRE(plane.Do({AddOf({{.port = server.address().port()}})}).error == 0);
  const UniqueFd client = ConnectTo(At(port));
  REQUIRE(SendAll(client.get(), "ping"));
  REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  REQUIRE(plane.Do({RemoveOf(0, {1})}).error == 0);
  CHECK(IsRefused(port));
  CHECK(ReadToEnd(client.get()).error != ETIMEDOUT);
  CHECK(Eventually([&] { return plane.data.TakeGone() == std::vector<int>{1}; }));
}

TEST_CASE("a taken port fails with its place in the section, and no socket stays open") {
  Plane plane;
  const auto taken = plane.Open({{}});
  const int before = OpenDescriptors();
  const Answer answer =
      plane.Do({TextOf('B', "done"), OpenOf({{.count = 2}, {.port = taken[0]}, {}})});
  CHECK(answer.Failed(-EADDRINUSE, "bind"));
  CHECK(answer.section == 1);
  CHECK(answer.index == 2);
  CHECK(answer.results.size() == 1);
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a request stops at the first section that fails") {
  Plane plane;
  const Answer answer = plane.Do({TextOf('B', "one"), {'?', ""}, TextOf('B', "two")});
  CHECK(answer.Failed(-ENOSYS, "section"));
  CHECK(answer.section == 1);
  CHECK(answer.index == kNoIndex);
  CHECK(answer.results.size() == 1);
  CHECK(StateOf(plane.data).blob == "one");
}

TEST_CASE("notes of the shim's own are in the state until the resident's next ones") {
  Plane plane;
  CHECK(plane.Do({TextOf('B', "one")}).error == 0);
  plane.data.NoteOwn("place", "here");
  plane.data.NoteOwn("place", "there");
  CHECK(StateOf(plane.data).own_notes == std::map<std::string, std::string>{{"place", "there"}});
  CHECK(StateOf(plane.data).blob == "one");
  CHECK(plane.Do({TextOf('B', "two")}).error == 0);
  CHECK(StateOf(plane.data).own_notes.empty());
}

TEST_CASE("pending sockets are closed by X, and by an add that fails") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf()}).error == 0);
  const int before = OpenDescriptors();
  auto ports = plane.Open({{.count = 2}});
  CHECK(OpenDescriptors() == before + 2);
  REQUIRE(plane.Do({{'X', ""}}).error == 0);
  CHECK(IsRefused(ports[0]));
  CHECK(OpenDescriptors() == before);
  const std::vector<std::vector<AddedForwards>> wrong = {
      {{.count = 3}},                   // More than there are.
      {{.count = 1}, {.first_id = 1}},  // One id twice.
      {{.slot = 1}},                    // No such namespace.
      {{.protocol = Protocol::kUdp}},   // Not what was opened.
      {{.count = 2, .port = 65'535}},   // No such port.
      {{.max_flows = 0}},
      {{.source_address = 4}},
      {{.address = "nowhere"}},
      {{.allow = {"10.0.0.0/33"}}},
      {{.first_id = -1}},
      {{.first_id = INT32_MAX, .count = 2}},
      {{.count = 0}},
  };
  for (const auto& entries : wrong) {
    ports = plane.Open({{.count = 2}});
    CHECK(plane.Do({AddOf(entries)}).IsMalformed());
    CHECK(IsRefused(ports[1]));
    CHECK(OpenDescriptors() == before);
  }
  CHECK(StateOf(plane.data).forwards.empty());
}

TEST_CASE("an id that is in use is refused") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(), OpenOf({{}, {}}), AddOf({{}})}).error == 0);
  CHECK(plane.Do({AddOf({{}})}).IsMalformed());
  CHECK(StateOf(plane.data).forwards.size() == 1);
}

TEST_CASE("the same namespace has the same slot, also by another path") {
  const Container container;
  const UniqueFd copy(dup(container.fd.get()));
  Plane plane;
  const Answer answer =
      plane.Do({NetnsOf(container.path), NetnsOf("/proc/self/fd/" + std::to_string(copy.get())),
                NetnsOf(), NetnsOf(container.path)});
  REQUIRE(answer.error == 0);
  CHECK(SlotFrom(answer.results[0]).slot == 0);
  CHECK(SlotFrom(answer.results[1]).slot == 0);
  CHECK(SlotFrom(answer.results[2]).slot == 1);
  CHECK(SlotFrom(answer.results[3]).slot == 0);
}

TEST_CASE("a released slot cannot be used, and its descriptor is closed") {
  const Container container;
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), OpenOf({{}})}).error == 0);
  const int before = OpenDescriptors();
  REQUIRE(plane.Do({NetnsOf(container.path)}).error == 0);
  CHECK(OpenDescriptors() == before + 1);
  REQUIRE(plane.Do({NumberOf('V', 0)}).error == 0);
  CHECK(OpenDescriptors() == before);
  CHECK(plane.Do({NumberOf('V', 0)}).IsMalformed());
  CHECK(plane.Do({NumberOf('I', 0)}).IsMalformed());
  CHECK(plane.Do({AddOf({{}})}).IsMalformed());
  CHECK(StateOf(plane.data).namespaces.empty());
  CHECK(SlotFrom(plane.Do({NetnsOf()}).results.at(0)).slot == 0);
}

TEST_CASE("a path that leads to no namespace fails as the call that finds out") {
  Plane plane;
  const int before = OpenDescriptors();
  CHECK(plane.Do({NetnsOf("/nowhere/at/all")}).Failed(-ENOENT, "open"));
  CHECK(plane.Do({NetnsOf("/proc/self/status")}).Failed(-EINVAL, "setns"));
  CHECK(plane.Do({NetnsOf(std::string("/proc\0/self", 11))}).IsMalformed());
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a namespace is prepared for clients' addresses") {
  const Container container;
  Plane plane;
  CHECK(plane.Do({NetnsOf(container.path), NumberOf('I', 0)}).error == 0);
}

TEST_CASE("a retarget changes all or none") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(), OpenOf({{}}), AddOf({{.port = 80}})}).error == 0);
  Answer answer = plane.Do({RetargetOf({{1, -1, "10.0.0.1", 81}, {2, -1, "10.0.0.1", 81}})});
  CHECK(answer.IsMalformed());
  CHECK(answer.index == 1);
  answer = plane.Do({RetargetOf({{1, 5, "10.0.0.1", 81}})});
  CHECK(answer.IsMalformed());
  CHECK(answer.index == 0);
  CHECK(StateOf(plane.data).forwards[0].target == At(80));
}

TEST_CASE("sections about forwards make no sense without an engine, nor does a second engine") {
  Plane plane;
  for (const Section& section :
       {AddOf({}), RetargetOf({}), RemoveOf(0, {}), StatsOf({}), Section{'Y', ""}})
    CHECK(plane.Do({section}).IsMalformed());
  REQUIRE(plane.Do({EngineOf()}).error == 0);
  CHECK(plane.Do({EngineOf()}).IsMalformed());
  Plane other;
  CHECK(other.Do({EngineOf(0)}).IsMalformed());
  CHECK(other.Do({EngineOf(100'000)}).IsMalformed());
}

TEST_CASE("after a close it is as new, and everything is closed") {
  const int before = OpenDescriptors();
  {
    const Container container;
    Plane plane;
    for (int round = 0; round < 2; ++round) {
      REQUIRE(plane
                  .Do({EngineOf(), NetnsOf(container.path), OpenOf({{}, {}}), AddOf({{}}),
                       TextOf('B', "notes")})
                  .error == 0);
      plane.data.Close();
      plane.data.Close();
      CHECK(OpenDescriptors() == before + 2);
      const State state = StateOf(plane.data);
      CHECK(state.forwards.empty());
      CHECK(state.namespaces.empty());
      CHECK(state.blob.empty());
      CHECK(state.next_id == 1);
    }
  }
  CHECK(OpenDescriptors() == before);
}

}  // namespace spliceport::shim
