#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>

#include <cstring>
#include <fstream>

#include "support/harness.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

const Address kAny = *Address::Parse("127.0.0.1", 0);

std::unique_ptr<UdpEnd> EndIn(int netns) {
  std::unique_ptr<UdpEnd> end;
  InNamespace(netns, [&] { end = std::make_unique<UdpEnd>(kAny, false); });
  return end;
}

// What arrives next, and from where; nothing when nothing comes.
struct Received {
  std::vector<std::string> datagrams;
  Address peer;
};
Received Next(const UdpEnd& end, std::chrono::milliseconds patience = std::chrono::seconds(5)) {
  Received received;
  (void)Eventually(
      [&] {
        return end.Receive([&](const Address& peer, std::string_view bytes) {
          received.datagrams.emplace_back(bytes);
          received.peer = peer;
        }) > 0;
      },
      patience);
  return received;
}

// Waits for `text`; the flow that it came by.
Address FlowOf(const UdpEnd& server, const std::string& text) {
  const Received received = Next(server);
  REQUIRE(received.datagrams == std::vector{text});
  return received.peer;
}

// Puts a datagram onto the loopback interface as if it had come by a wire: a broadcast from
// `source`.
void Broadcast(const Address& source, uint16_t port, std::string_view text) {
  struct {
    iphdr ip{};
    udphdr udp{};
    std::array<char, 32> text{};
  } packet;
  const auto size = static_cast<uint16_t>(sizeof(iphdr) + sizeof(udphdr) + text.size());
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.ttl = 1;
  packet.ip.protocol = IPPROTO_UDP;
  packet.ip.tot_len = htons(size);
  packet.ip.saddr = source.v4().s_addr;
  packet.ip.daddr = INADDR_BROADCAST;
  std::array<uint16_t, sizeof(iphdr) / 2> words{};
  std::memcpy(words.data(), &packet.ip, sizeof(iphdr));
  uint32_t sum = 0;
  for (const uint16_t word : words)
    sum += word;
  packet.ip.check = static_cast<uint16_t>(~(sum % 0xffff));
  packet.udp.source = htons(source.port());
  packet.udp.dest = htons(port);
  packet.udp.len = htons(static_cast<uint16_t>(sizeof(udphdr) + text.size()));
  std::memcpy(packet.text.data(), text.data(), text.size());

  const UniqueFd wire(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_ll loopback{};
  loopback.sll_family = AF_PACKET;
  loopback.sll_protocol = htons(ETH_P_IP);
  loopback.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
  loopback.sll_halen = ETH_ALEN;
  REQUIRE(sendto(wire.get(), &packet, size, 0, reinterpret_cast<const sockaddr*>(&loopback),
                 sizeof(loopback)) == size);
}

void SendFromPortZero(uint16_t port, std::string_view text) {
  std::string packet(sizeof(udphdr), '\0');
  udphdr udp{};
  udp.dest = htons(port);
  udp.len = htons(static_cast<uint16_t>(sizeof(udphdr) + text.size()));
  std::memcpy(packet.data(), &udp, sizeof(udp));
  packet += text;
  const Address to = *Address::Parse("127.0.0.1", 0);
  const UniqueFd raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
  REQUIRE(sendto(raw.get(), packet.data(), packet.size(), 0, to.bytes(), to.size()) ==
          static_cast<ssize_t>(packet.size()));
}

// A forward of every address whose client cannot be answered.
class Unanswered {
 public:
  const Address& host() const { return host_; }
  // Answers a datagram that has come by.
  void Expect(const std::string& text) {
    REQUIRE(server_->Send(FlowOf(*server_, text), "you are"));
    CHECK(Eventually([&] { return harness_.Count(&ForwardCounters::datagrams_dropped) == 1; }));
    CHECK(harness_.Count(&ForwardCounters::datagrams_to_host) == 0);
  }

 private:
  Harness harness_;
  std::unique_ptr<UdpEnd> server_ = EndIn(harness_.netns());
  Address host_ =
      harness_.Add(UsualForward(harness_.TargetAt(server_->address()), Protocol::kUdp), "0.0.0.0");
};

}  // namespace

// Where the kernel may give a client no other port than the server's, and one more.
TEST_CASE("udp: a flow is never connected to itself, and leaves the server its port") {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    Harness harness;
    InNamespace(harness.netns(), [] {
      std::ofstream range("/proc/sys/net/ipv4/ip_local_port_range");
      REQUIRE((range << "50000 50001").flush());
    });
    const Address target = *Address::Parse(loopback, 50'000);
    for (uint32_t id = 1; id <= 20; ++id) {
      const UdpEnd client(kAny, false);
      REQUIRE(
          client.Send(harness.Add(static_cast<int>(id), Protocol::kUdp, target), "my own words"));
      CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_total) == id; }));
      CHECK(Next(client, std::chrono::milliseconds(1)).datagrams.empty());
      InNamespace(harness.netns(), [&] { UdpEnd(target, false); });
      harness.engine().Remove({static_cast<int>(id)}, 0);
    }
  }
}

TEST_CASE("udp: an answer to a client without an address goes to nobody, and is counted") {
  Unanswered unanswered;
  // Linux takes 0.0.0.0 for this host when it sends.
  const UdpEnd bystander(kAny, false);
  const Address nobody = *Address::Parse("0.0.0.0", bystander.address().port());
  Broadcast(nobody, unanswered.host().port(), "who am I?");
  unanswered.Expect("who am I?");
  CHECK(Next(bystander, std::chrono::milliseconds(1)).datagrams.empty());
}

TEST_CASE("udp: an answer to a client without a port goes to nobody, and is counted") {
  Unanswered unanswered;
  SendFromPortZero(unanswered.host().port(), "who am I?");
  unanswered.Expect("who am I?");
}

TEST_CASE("udp: a flow lives on while the container alone uses it") {
  Harness harness;
  const auto server = EndIn(harness.netns());
  const UdpEnd client(kAny, false);
  REQUIRE(client.Send(
      harness.Add(1, Protocol::kUdp, server->address(), {.udp_timeout_micros = 200'000}), "hello"));
  const Address flow = FlowOf(*server, "hello");
  for (int i = 0; i < 25; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    REQUIRE(server->Send(flow, "tick"));
    CHECK(Next(client).datagrams == std::vector<std::string>{"tick"});
  }
  CHECK(harness.OpenSessions() == 1);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
}

TEST_CASE("udp: dead backends delay nobody else") {
  Harness harness({.workers = 1});
  const auto server = EndIn(harness.netns());
  const auto silent = EndIn(harness.netns());
  const Address live = harness.Add(1, Protocol::kUdp, server->address());
  const std::vector<Address> dead = {
      harness.Add(2, Protocol::kUdp, *Address::Parse("127.0.0.1", 1)),    // Refuses.
      harness.Add(3, Protocol::kUdp, *Address::Parse("203.0.113.1", 1)),  // Has no route.
      harness.Add(4, Protocol::kUdp, *Address::Parse("2001:db8::1", 1)),  // Nor has this.
      harness.Add(5, Protocol::kUdp, silent->address()),                  // Never reads.
  };
  const UdpEnd client(kAny, false);
  const std::string large(20'000, 'x');
  for (int i = 0; i < 100; ++i) {
    for (const Address& address : dead) {
      for (int datagrams = 0; datagrams < 5; ++datagrams)
        (void)client.Send(address, large);
    }
    const std::string text = std::to_string(i);
    const int64_t asked = NowMicros();
    REQUIRE(client.Send(live, text));
    REQUIRE(server->Send(FlowOf(*server, text), text));
    CHECK(Next(client).datagrams == std::vector{text});
    CHECK(NowMicros() - asked < 1'000'000);
  }
}

TEST_CASE("udp: a route that cannot segment loses nothing") {
  Harness harness;
  InNamespace(harness.netns(), [] {
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_mtu = 1'280;
    const UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    (void)ioctl(control.get(), SIOCSIFMTU, &request);
  });
  const auto server = EndIn(harness.netns());
  const UdpEnd client(kAny, false);
  const Address host = harness.Add(1, Protocol::kUdp, server->address());
  REQUIRE(client.Send(host, "hello"));
  (void)FlowOf(*server, "hello");
  std::vector<std::string> sent;
  for (char i = 0; i < 40; ++i)
    sent.emplace_back(1'400, static_cast<char>('a' + i % 26));
  const std::vector<std::string_view> train(sent.begin(), sent.end());
  for (int round = 0; round < 3; ++round) {
    REQUIRE(client.SendTrain(host, train));
    std::vector<std::string> arrived;
    while (arrived.size() < sent.size()) {
      const Received more = Next(*server);
      REQUIRE_FALSE(more.datagrams.empty());
      arrived.insert(arrived.end(), more.datagrams.begin(), more.datagrams.end());
    }
    CHECK(arrived == sent);
  }
  CHECK(harness.Count(&ForwardCounters::datagrams_dropped) == 0);
}

TEST_CASE("udp: a retarget to where a forward leads already leaves its flows as they are") {
  Harness harness;
  const auto server = EndIn(harness.netns());
  const UdpEnd client(kAny, false);
  const Address host = harness.Add(1, Protocol::kUdp, server->address());
  REQUIRE(client.Send(host, "hello"));
  const Address flow = FlowOf(*server, "hello");
  const TargetPtr target = harness.TargetAt(server->address());
  // By another descriptor of the namespace, which is another object.
  auto netns = Netns::From(harness.netns());
  REQUIRE(netns.ok());
  for (const NetnsPtr& name : {target->netns, NetnsPtr(netns.value())}) {
    harness.engine().Retarget({{1, std::make_shared<const Target>(Target{name, target->address})}});
    REQUIRE(client.Send(host, "again"));
    CHECK(FlowOf(*server, "again") == flow);
  }
}

TEST_CASE("udp: answers of the old target that wait when a flow gets a new one still arrive") {
  Harness harness({.workers = 1});
  const auto one = EndIn(harness.netns());
  const auto two = EndIn(harness.netns());
  const UdpEnd client(kAny, false);
  const Address host = harness.Add(1, Protocol::kUdp, one->address());
  REQUIRE(client.Send(host, "hello"));
  const Address flow = FlowOf(*one, "hello");
  harness.engine().Retarget({{1, harness.TargetAt(two->address())}});
  // The client's next datagram is served first, and moves the flow.
  harness.WhileHeld([&] {
    REQUIRE(client.Send(host, "again"));
    REQUIRE(one->Send(flow, "answer"));
  });
  CHECK(Next(client).datagrams == std::vector<std::string>{"answer"});
  REQUIRE(two->Send(FlowOf(*two, "again"), "answer of two"));
  CHECK(Next(client).datagrams == std::vector<std::string>{"answer of two"});
  CHECK(harness.OpenSessions() == 1);
}

}  // namespace spliceport
