#include <poll.h>

#include <doctest/doctest.h>

#include "shim/channel.h"
#include "shim/plane_support.h"
#include "shim/records.h"
#include "support/harness.h"
#include "support/server.h"

namespace spliceport::shim {

namespace {

struct SessionRecord {
  int forward_id;
  uint8_t protocol;
  uint8_t state;
  Address client;
  Address target;
  std::string source;
  uint16_t source_port;
  uint64_t to_container;
  uint64_t to_host;
  uint64_t age_millis;
};

std::vector<SessionRecord> SessionsFrom(const std::string& result) {
  Reader reader(result);
  std::vector<SessionRecord> sessions;
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    sessions.push_back({reader.I32(), reader.U8(), reader.U8(), reader.Endpoint(),
                        reader.Endpoint(), reader.Text(), reader.U16(), reader.U64(), reader.U64(),
                        reader.U64()});
  }
  CHECK(reader.ok());
  CHECK(reader.at_end());
  return sessions;
}

struct EndedRecord {
  int forward_id;
  uint8_t protocol;
  Address client;
  Address target;
  uint64_t to_container;
  uint64_t to_host;
  uint64_t duration_micros;
  int64_t connect_micros;
  uint8_t ending;
  int error;
};

std::vector<EndedRecord> EndedFrom(const std::string& result) {
  Reader reader(result);
  std::vector<EndedRecord> sessions;
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    sessions.push_back({reader.I32(), reader.U8(), reader.Endpoint(), reader.Endpoint(),
                        reader.U64(), reader.U64(), reader.U64(), reader.I64(), reader.U8(),
                        reader.I32()});
  }
  CHECK(reader.ok());
  CHECK(reader.at_end());
  return sessions;
}

void Echo(int fd) {
  const std::string bytes = ReadUpTo(fd, 4);
  (void)SendAll(fd, bytes + bytes);
  (void)ReadToEnd(fd);
}

// A DataPlane with a forward to a server, number 1, and one to nobody, number 2.
class Running {
 public:
  explicit Running(bool tells_of_ends = false) : server_(-1, Echo) {
    REQUIRE(plane.Do({EngineOf(2, tells_of_ends), NetnsOf()}).error == 0);
    ports = plane.Open({{}, {}});
    REQUIRE(
        plane.Do({AddOf({{.first_id = 1, .port = target().port()}, {.first_id = 2, .port = 1}})})
            .error == 0);
  }
  const Address& target() const { return server_.address(); }
  UniqueFd Connect(size_t which) { return ConnectTo(*Address::Parse("127.0.0.1", ports[which])); }
  // A session through which four bytes went to the container, and eight came back.
  UniqueFd Exchange() {
    UniqueFd client = Connect(0);
    REQUIRE(SendAll(client.get(), "ping"));
    REQUIRE(ReadUpTo(client.get(), 8) == "pingping");
    return client;
  }
  std::vector<StatsRecord> Stats(const std::vector<int>& ids) {
    const Answer answer = plane.Do({StatsOf(ids)});
    REQUIRE(answer.error == 0);
    return StatsFrom(answer.results.at(0));
  }

  Plane plane;
  std::vector<uint16_t> ports;

 private:
  Server server_;
};

bool IsReadable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

}  // namespace

TEST_CASE("the counters are those of each forward that is asked for, and of all that there were") {
  Running running;
  const UniqueFd client = running.Exchange();
  const UniqueFd refused = running.Connect(1);
  (void)ReadToEnd(refused.get());
  auto stats = running.Stats({2, 1, -1, 99, 1});
  REQUIRE(stats.size() == 5);
  CHECK(stats[0].of("connectFailures") == 1);
  CHECK(stats[0].connect_error == -ECONNREFUSED);
  CHECK(stats[1].sessions_open == 1);
  CHECK(stats[1].of("bytesToContainer") == 4);
  CHECK(stats[1].of("bytesToHost") == 8);
  CHECK(stats[1].connect_error == 0);
  CHECK(stats[1].latency.size() == kLatencyBucketsMicros.size() + 1);
  CHECK(stats[2].of("sessionsTotal") == 2);
  CHECK(stats[2].of("bytesToHost") == 8);
  CHECK(stats[3].of("sessionsTotal") == 0);
  CHECK(stats[4].of("bytesToHost") == 8);
  REQUIRE(running.plane.Do({RemoveOf(0, {1, 2})}).error == 0);
  stats = running.Stats({1, -1});
  CHECK(stats[0].of("sessionsTotal") == 0);
  CHECK(stats[1].of("sessionsTotal") == 2);
  CHECK(stats[1].sessions_open == 0);
  const std::string total = running.plane.data.LastWords();
  // Nobody has ended.
  CHECK(total.size() == kStatsBytes + sizeof(uint32_t));
  const std::string one("\1\0\0\0", 4);
  CHECK(StatsFrom(one + total.substr(0, kStatsBytes))[0].of("sessionsTotal") == 2);
}

TEST_CASE("before there is an engine, the counters of all are zero") {
  Plane plane;
  const std::string one("\1\0\0\0", 4);
  const std::string stats = plane.data.LastWords().substr(0, kStatsBytes);
  CHECK(StatsFrom(one + stats)[0].of("sessionsTotal") == 0);
}

TEST_CASE("more counters than fit a frame are refused before they take memory") {
  Running running;
  const size_t most = kMaxPayloadBytes / kStatsBytes;
  CHECK(running.plane.Do({StatsOf(std::vector<int>(most + 1, -1))}).Failed(-EMSGSIZE, "section"));
  const std::vector<int> half(most / 2, 1);
  CHECK(running.plane.Do({StatsOf(half)}).error == 0);
  const Answer answer = running.plane.Do({StatsOf(half), StatsOf(half), StatsOf(half)});
  CHECK(answer.Failed(-EMSGSIZE, "section"));
  CHECK(answer.section == 1);
}

TEST_CASE("each counter has a name of its own") {
  Writer writer;
  DataPlane::WriteCounterNames(writer);
  const std::string bytes = writer.Take();
  Reader reader(bytes);
  std::vector<std::string> names(reader.U32());
  for (std::string& name : names)
    name = reader.Text();
  CHECK(names.front() == "sessionsClosed");
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK_FALSE(std::binary_search(names.begin(), names.end(), ""));
}

TEST_CASE("open sessions are listed with their ends, state and bytes") {
  Running running;
  const UniqueFd client = running.Exchange();
  const auto list = [&] { return SessionsFrom(running.plane.Do({{'Y', ""}}).results.at(0)); };
  auto sessions = list();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].forward_id == 1);
  CHECK(sessions[0].protocol == 0);
  CHECK(sessions[0].state == static_cast<uint8_t>(SessionState::kOpen));
  CHECK(sessions[0].client == SourceOf(client));
  CHECK(sessions[0].target == running.target());
  CHECK(sessions[0].source == "127.0.0.1");
  CHECK(sessions[0].source_port != 0);
  CHECK(sessions[0].to_container == 4);
  CHECK(sessions[0].to_host == 8);
  CHECK(sessions[0].age_millis < 60'000);
  ShutdownWrite(client.get());
  CHECK(Eventually([&] {
    sessions = list();
    return sessions.empty() || sessions[0].state == static_cast<uint8_t>(SessionState::kHalfClosed);
  }));
}

TEST_CASE("sessions that have ended are told of once, and taken in pieces") {
  Running running(true);
  DataPlane& data = running.plane.data;
  CHECK_FALSE(data.TakeEndedNotice());
  running.Exchange().Reset();
  REQUIRE(Eventually([&] { return IsReadable(data.event_fd()); }));
  CHECK(data.TakeGone().empty());
  CHECK(data.TakeEndedNotice());
  running.Exchange().Reset();
  const UniqueFd refused = running.Connect(1);
  (void)ReadToEnd(refused.get());
  CHECK_FALSE(data.TakeEndedNotice());
  std::vector<EndedRecord> ended;
  const auto take = [&](uint32_t most) {
    auto taken = EndedFrom(running.plane.Do({NumberOf('U', most)}).results.at(0));
    CHECK(taken.size() <= most);
    ended.insert(ended.end(), taken.begin(), taken.end());
    return ended.size() == 3;
  };
  (void)take(0);
  (void)take(1);
  REQUIRE(Eventually([&] { return take(2); }));
  std::sort(ended.begin(), ended.end(), [](const EndedRecord& one, const EndedRecord& other) {
    return one.forward_id < other.forward_id;
  });
  CHECK(ended[0].client.Text() == "127.0.0.1");
  CHECK(ended[0].target == running.target());
  CHECK(ended[0].to_container == 4);
  CHECK(ended[0].to_host == 8);
  CHECK(ended[0].connect_micros >= 0);
  CHECK(ended[0].error == 0);
  CHECK(ended[2].forward_id == 2);
  CHECK(ended[2].connect_micros == -1);
  CHECK(ended[2].ending == static_cast<uint8_t>(SessionEnding::kConnectFailed));
  CHECK(ended[2].error == -ECONNREFUSED);
  running.Exchange().Reset();
  CHECK(Eventually([&] { return data.TakeEndedNotice(); }));
}

TEST_CASE("who has not asked for the ends of sessions hears of none") {
  Running running(false);
  running.Exchange().Reset();
  REQUIRE(Eventually([&] { return running.Stats({1})[0].sessions_open == 0; }));
  CHECK_FALSE(IsReadable(running.plane.data.event_fd()));
  CHECK(EndedFrom(running.plane.Do({NumberOf('U', 10)}).results.at(0)).empty());
}

}  // namespace spliceport::shim
