#include "net/host_sockets.h"

#include <doctest/doctest.h>

#include "support/support.h"

namespace spliceport {

namespace {

const Address kAnyPort = *Address::Parse("127.0.0.1", 0);

// Enough for a second thread.
constexpr uint32_t kMany = 200;

}  // namespace

TEST_CASE("many host sockets are opened in order, each with its port") {
  std::vector<HostSocketRequest> requests;
  AppendRequests({Protocol::kTcp, kAnyPort, false}, kMany, requests);
  AppendRequests({Protocol::kUdp, kAnyPort, false}, kMany, requests);
  const HostSockets opened = OpenHostSockets(requests);
  CHECK_FALSE(opened.failure);
  REQUIRE(opened.sockets.size() == requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const HostSocket& socket = opened.sockets[i];
    CHECK(socket.protocol == requests[i].protocol);
    CHECK(LocalAddress(socket.fd.get()).value().port() == socket.port);
  }
}

TEST_CASE("requests of a range have successive ports, those for any port have none") {
  std::vector<HostSocketRequest> requests;
  AppendRequests({Protocol::kTcp, *Address::Parse("::1", 65'534), false}, 2, requests);
  AppendRequests({Protocol::kTcp, kAnyPort, false}, 2, requests);
  REQUIRE(requests.size() == 4);
  CHECK(requests[0].address.port() == 65'534);
  CHECK(requests[1].address.port() == 65'535);
  CHECK(requests[2].address.port() == 0);
  CHECK(requests[3].address.port() == 0);
}

TEST_CASE("the first failure counts, in either half, and what is not taken is closed") {
  const int before = OpenDescriptors();
  {
    auto taken = OpenHostSocket(Protocol::kTcp, kAnyPort, false);
    REQUIRE(taken.ok());
    const Address address = LocalAddress(taken.value().get()).value();
    for (const uint32_t place : {uint32_t{0}, uint32_t{7}, kMany - 1}) {
      std::vector<HostSocketRequest> requests;
      AppendRequests({Protocol::kTcp, kAnyPort, false}, kMany, requests);
      requests[place].address = address;
      requests[kMany - 1].address = address;
      const HostSockets opened = OpenHostSockets(requests);
      REQUIRE(opened.failure);
      CHECK(opened.failure->code == -EADDRINUSE);
      CHECK(opened.sockets.size() == place);
    }
  }
  CHECK(OpenDescriptors() == before);
}

}  // namespace spliceport
