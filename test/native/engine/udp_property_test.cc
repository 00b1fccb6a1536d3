// Random datagrams of many clients, through three forwards and back: nothing may be doubled,
// altered, out of its flow's order or in another flow, every answer comes from where its client had
// sent to, and what is lost is in a counter.
//   SPLICEPORT_DATAGRAMS  how many in each run (default 20,000)
//   SPLICEPORT_SEED       of the first run (default 1)

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>
#include <unordered_map>

#include "support/harness.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

constexpr size_t kLargestDatagram = 65'507;
constexpr size_t kLargestTrain = 64'000;
// Of a flow, all at once, in a flood.
constexpr size_t kTooMany = 100;

size_t FromEnvironment(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Address At(const std::string& text, uint16_t port = 0) { return *Address::Parse(text, port); }

struct AddressHash {
  size_t operator()(const Address& address) const { return address.Hash(); }
};

struct Options {
  UsualSettings settings;
  bool trains = true;
  // Bytes and datagrams on their way at once; 0: no bound, and small buffers, so that there are
  // losses.
  size_t max_in_flight = 200;
};

class World {
 public:
  World(const Options& options, uint64_t seed)
      : options_(options), harness_(options.settings), random_(seed) {
    AddService("127.0.0.1", "127.0.0.1");
    AddService("::", "::1");
    AddService("0.0.0.0", "127.0.0.1");
    for (int i = 0; i < 16; ++i) {
      const bool v6 = i % 4 == 3;
      clients_.push_back(std::make_unique<UdpEnd>(At(v6 ? "::1" : "127.0.0.1"), TakesTrains()));
      if (!v6) AddFlow(0, "127.0.0.1");
      AddFlow(1, v6 ? "::1" : "127.0.0.1");
      if (!v6) AddFlow(1, "127.0.0.2");
      if (!v6) AddFlow(2, "127.0.0.3");
    }
  }

  void Run(size_t datagrams) {
    while (sent_ < datagrams) {
      if (options_.max_in_flight == 0 || OnTheirWay() < options_.max_in_flight) Act();
      if (options_.max_in_flight != 0 || Below(20) == 0) Poll();
    }
    if (options_.max_in_flight != 0) HandlePumpState();
  }

  // Sends more than the sockets of two forwards have room for while their worker does not read
  // them: without a hold it depends on who is faster whether there is a loss.
  void Overflow() {
    constexpr int kWorkerOfOddIds = 1;
    Harness::Hold hold(harness_, kWorkerOfOddIds);
    hold.Begin();
    for (Flow& flow : flows_) {
      for (size_t i = 0; i < kTooMany; ++i)
        SendOne(flow, 1'400);
    }
    hold.End();
  }

  // After a loss the counters tell of it with the next datagram that the kernel had room for.
  void Probe() {
    probing_ = true;
    for (Flow& flow : flows_) {
      const size_t arrived = flow.to_host.arrived();
      int64_t again_at = 0;
      REQUIRE(Eventually([&] {
        // It may be lost as well.
        if (NowMicros() >= again_at) {
          SendOne(flow, 32);
          again_at = NowMicros() + 200'000;
        }
        return Poll(), flow.to_host.arrived() > arrived;
      }));
    }
    probing_ = false;
  }

  // Waits until what has not arrived and what is counted as lost fit, as they do when nothing is on
  // its way any more.
  void SettleUntil(const std::function<bool(size_t lost, size_t counted)>& fit) {
    (void)Eventually([&] {
      Poll();
      return fit(Lost(), Counted());
    });
  }

  std::string Faults() const {
    std::string text = fault_;
    for (const Flow& flow : flows_)
      text += flow.to_container.fault() + flow.to_host.fault();
    return text;
  }
  size_t Lost() const {
    size_t sum = 0;
    for (const Flow& flow : flows_)
      sum += flow.to_container.lost() + flow.to_host.lost();
    return sum;
  }
  size_t LostByEngine() {
    return harness_.Count(&ForwardCounters::datagrams_dropped) +
           harness_.Count(&ForwardCounters::datagrams_lost_in_kernel);
  }
  size_t Counted() { return LostByEngine() + LostByEnds(); }
  size_t LostByEnds() const {
    size_t sum = 0;
    for (const auto& client : clients_)
      sum += client->Drops();
    for (const Service& service : services_)
      sum += service.server->Drops();
    return sum;
  }
  Harness& harness() { return harness_; }
  size_t flows() const { return flows_.size(); }

 private:
  struct Service {
    std::unique_ptr<UdpEnd> server;
    uint16_t host_port;
  };
  struct Flow {
    size_t client;
    size_t service;
    Address via;  // Where the client sends to.
    DatagramRecord to_container;
    DatagramRecord to_host;
  };

  size_t Below(size_t bound) { return random_() % bound; }
  bool TakesTrains() { return options_.trains && Below(2) == 0; }

  void AddService(const std::string& host, const std::string& server) {
    auto opened = OpenHostSocket(Protocol::kUdp, At(host), false);
    REQUIRE(opened.ok());
    const int small = 200'000;
    if (options_.max_in_flight == 0)
      setsockopt(opened.value().get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    const uint16_t port = LocalAddress(opened.value().get()).value().port();
    services_.push_back({std::make_unique<UdpEnd>(At(server), TakesTrains()), port});
    auto target =
        std::make_shared<const Target>(Target{nullptr, services_.back().server->address()});
    auto socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    const int id = static_cast<int>(services_.size());
    REQUIRE(harness_.engine().Add({{id, Protocol::kUdp, socket, target, UsualLimits()}}).ok());
  }

  // Of the last client. The first datagram tells the server, which sees only the relay, whose flow
  // it is.
  void AddFlow(size_t service, const std::string& via) {
    const uint64_t id = flows_.size();
    flows_.push_back({clients_.size() - 1, service, At(via, services_[service].host_port),
                      DatagramRecord(2 * id), DatagramRecord(2 * id + 1)});
    REQUIRE(clients_.back()->Send(flows_.back().via, "hello"));
    const UdpEnd& server = *services_[service].server;
    REQUIRE(Eventually([&] {
      return server.Receive([&](const Address& peer, std::string_view bytes) {
        if (bytes != "hello" || !flow_of_peer_.emplace(peer, id).second) fault_ += "a false hello";
      }) > 0;
    }));
  }

  size_t OnTheirWay() const {
    size_t sum = 0;
    for (const Flow& flow : flows_)
      sum += flow.to_container.unsettled() + flow.to_host.unsettled();
    return sum;
  }

  size_t Size() {
    const size_t kind = Below(100);
    if (kind < 10) return 0;
    if (kind < 40) return Below(100);
    if (kind < 85) return Below(1'500);
    return kind < 97 ? Below(9'000) : Below(kLargestDatagram + 1);
  }

  void Act() {
    Flow& flow = flows_[Below(flows_.size())];
    const size_t kind = Below(100);
    if (kind < 40) return SendOne(flow, Size());
    const size_t size = 1 + Size();
    if (kind < 65) return SendBurst(flow, std::min(size, kLargestDatagram), 2 + Below(99));
    if (kind < 85 && options_.trains) return SendTrainOf(flow, size);
    Flow& other = flows_[Below(flows_.size())];
    for (size_t i = 0; i < 10; ++i) {
      SendOne(flow, std::min(size, kLargestDatagram));
      SendOne(other, 700);
    }
  }

  void SendOne(Flow& flow, size_t size) {
    if (!clients_[flow.client]->Send(flow.via, flow.to_container.Next(size))) return;
    flow.to_container.Sent(size);
    ++sent_;
  }

  void SendBurst(Flow& flow, size_t size, size_t count) {
    const size_t most = std::max<size_t>(100'000 / (size + 500), 1);
    for (size_t i = 0; i < std::min(count, most); ++i)
      SendOne(flow, size);
    if (Below(2) == 0) SendOne(flow, Below(size));
  }

  // The last one may be shorter.
  std::vector<size_t> TrainSizes(size_t size) {
    size = std::min<size_t>(size, 30'000);
    const size_t most = std::min<size_t>(kLargestTrain / size, 64);
    std::vector<size_t> sizes(2 + Below(std::max<size_t>(most, 3) - 2), size);
    if (Below(2) == 0) sizes.back() = 1 + Below(size);
    return sizes;
  }

  static bool SendTrainFor(DatagramRecord& record, const UdpEnd& end, const Address& to,
                           const std::vector<size_t>& sizes) {
    std::vector<std::string_view> datagrams;
    for (const size_t size : sizes)
      datagrams.push_back(record.Next(size, datagrams.size()));
    if (!end.SendTrain(to, datagrams)) return false;
    for (const size_t size : sizes)
      record.Sent(size);
    return true;
  }

  void SendTrainOf(Flow& flow, size_t size) {
    const auto sizes = TrainSizes(size);
    if (SendTrainFor(flow.to_container, *clients_[flow.client], flow.via, sizes))
      sent_ += sizes.size();
  }

  // What has arrived anywhere; answers what came to the servers.
  size_t Poll() {
    size_t count = 0;
    for (const Service& service : services_) {
      count += service.server->Receive([&](const Address& peer, std::string_view bytes) {
        const auto found = flow_of_peer_.find(peer);
        if (found == flow_of_peer_.end()) {
          fault_ = "a flow that had begun came from another address";
          return;
        }
        flows_[found->second].to_container.Arrived(bytes);
        Answer(flows_[found->second], *service.server, peer);
      });
    }
    for (size_t client = 0; client < clients_.size(); ++client) {
      count += clients_[client]->Receive([&](const Address& peer, std::string_view bytes) {
        const auto flow = std::ranges::find_if(
            flows_, [&](const Flow& one) { return one.client == client && one.via == peer; });
        if (flow == flows_.end()) fault_ = "an answer came from " + peer.Text();
        if (flow != flows_.end()) flow->to_host.Arrived(bytes);
      });
    }
    return count;
  }

  void Answer(Flow& flow, const UdpEnd& server, const Address& peer) {
    const size_t kind = probing_ ? 50 : Below(100);
    if (kind < 30) return;
    if (kind < 90 || !options_.trains) {
      const size_t size = Size();
      if (server.Send(peer, flow.to_host.Next(size))) flow.to_host.Sent(size);
    } else {
      (void)SendTrainFor(flow.to_host, server, peer, TrainSizes(1 + Size()));
    }
  }

  // Until everything has arrived, or nothing more comes.
  void HandlePumpState() {
    int64_t quiet_since = NowMicros();
    constexpr int64_t kPatienceMicros = 5'000'000;
    while (OnTheirWay() > 0 && NowMicros() - quiet_since < kPatienceMicros) {
      if (Poll() > 0) quiet_since = NowMicros();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  const Options options_;
  Harness harness_;
  std::mt19937_64 random_;
  std::vector<Service> services_;
  std::vector<std::unique_ptr<UdpEnd>> clients_;
  std::vector<Flow> flows_;
  std::unordered_map<Address, size_t, AddressHash> flow_of_peer_;
  size_t sent_ = 0;
  bool probing_ = false;
  std::string fault_;
};

const uint64_t kSeed = FromEnvironment("SPLICEPORT_SEED", 1);
const size_t kDatagrams = FromEnvironment("SPLICEPORT_DATAGRAMS", 20'000);

}  // namespace

TEST_CASE(
    "udp: what the relay is given at a bearable rate arrives, whole, once, in its flow and its "
    "order") {
  for (const int workers : {1, 2}) {
    INFO("seed ", kSeed + workers);
    World world({.settings = {.workers = workers}}, kSeed + workers);
    world.Run(kDatagrams);
    CHECK(world.Faults() == "");
    CHECK(world.Lost() == 0);
    CHECK(world.LostByEngine() == 0);
    CHECK(world.harness().Count(&ForwardCounters::sessions_total) == world.flows());
  }
}

TEST_CASE("udp: what a flood loses is counted, to the datagram") {
  INFO("seed ", kSeed);
  World world({.settings = {.workers = 2}, .trains = false, .max_in_flight = 0}, kSeed);
  world.Overflow();
  world.Run(kDatagrams);
  world.Probe();
  world.SettleUntil(std::equal_to<>());
  CHECK(world.Lost() == world.Counted());
  CHECK(world.Faults() == "");
  CHECK(world.Lost() > 0);
}

TEST_CASE("udp: what a flood of trains loses is counted, if only by the train") {
  INFO("seed ", kSeed);
  World world({.settings = {.workers = 2}, .max_in_flight = 0}, kSeed);
  world.Overflow();
  world.Run(kDatagrams);
  world.Probe();
  world.SettleUntil(
      [](size_t lost, size_t counted) { return lost >= counted && lost <= 64 * counted; });
  CHECK(world.Lost() >= world.Counted());
  CHECK(world.Lost() <= 64 * world.Counted());
  CHECK(world.Faults() == "");
  CHECK(world.Lost() > 0);
}

}  // namespace spliceport
