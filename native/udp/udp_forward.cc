// Theory of operation
//
//   to container  The host socket is read in batches. Each train finds its flow by the client's
//                 address and the address that it was sent to. Consecutive trains of one flow leave
//                 by one call on the flow's own socket, which is connected to the target in the
//                 container's namespace. If PROXY headers are read, the client is the one that a
//                 datagram's header names, and the header is removed. If they are written, a flow
//                 has one, which precedes each of its datagrams.
//   to host       A flow's socket is read into memory that all flows of the worker share. The
//                 replies of all flows leave together, by one call on the host socket, each from
//                 the address that its client had sent to: after the current events, or earlier if
//                 that memory is full.
//   life          A flow begins with its first datagram, and ends when neither direction has used
//                 it for the UDP timeout. Flows are in order of use, so one timer for the oldest
//                 serves all. Beyond max_flows the oldest ends early. Without a descriptor for
//                 another flow, or with too many flows in the process (descriptor_budget.cc), the
//                 oldest of all forwards ends. The limits of admission reject the newest instead.
//                 An ICMP error of the container (ECONNREFUSED) ends nothing.
//   failure       A host socket that keeps failing pauses for up to a second at a time: it is
//                 level-triggered and would take a whole CPU. A flow whose own socket keeps failing
//                 ends; its client starts another.
//   retarget      A flow whose socket is connected to an earlier target gets a new socket with its
//                 next datagram.
//
// All sockets are level-triggered: an error that recvmmsg(2) keeps for the next call would be lost
// with edges.

#include "udp/udp_forward.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/descriptor_budget.h"

namespace spliceport {

namespace {

// Batches read from the host socket before it is the turn of others.
constexpr int kBatchesPerWake = 4;
// If a server sends one answer for each request, a read for more finds nothing, and costs half as
// much as a read that finds something.
constexpr uint32_t kLoneAnswersToProbe = 8;

bool IsOutOfDescriptors(const Result<void>& result) {
  return !result.ok() && spliceport::IsOutOfDescriptors(-result.error().code);
}

}  // namespace

void UdpFlow::OnEvents(uint32_t /*events*/) { forward.OnFlowReadable(*this); }

UdpForward::UdpForward(Reactor& reactor, ForwardConfig config, ForwardCounters& counters)
    : reactor_(reactor),
      counters_(counters),
      host_socket_(std::move(config.host_socket)),
      target_(std::move(config.target)),
      config_(std::move(config)),
      pause_(*this) {}

Result<void> UdpForward::Start() {
  if (config_.source_address == SourceAddress::kProxyV2) {
    auto local = LocalAddress(host_socket_->get());
    if (!local.ok()) return local.error();
    host_port_ = local.value().port();
  }
  auto watched = Watch();
  if (watched.ok()) reactor_.flow_room.Add(*this);
  return watched;
}

Result<void> UdpForward::Watch() { return reactor_.epoll.Add(host_socket_->get(), EPOLLIN, *this); }

void UdpForward::OnFailedRead(int error) {
  if (error == EAGAIN || !backoff_.FailsTooOften() || pause_.armed()) return;
  counters_.accept_pauses.Add();
  reactor_.epoll.Remove(host_socket_->get());
  reactor_.timers.Arm(pause_, NowMicros() + backoff_.NextPauseMicros());
}

void UdpForward::Pause::OnTimer() {
  if (forward.Watch().ok()) return;
  forward.reactor_.timers.Arm(*this, NowMicros() + forward.backoff_.pause_micros());
}

void UdpForward::OnEvents(uint32_t /*events*/) {
  if (!host_socket_) return;
  ReceiveBatch& batch = reactor_.Datagrams().from_clients;
  for (int batches = 0; batches < kBatchesPerWake; ++batches) {
    batch.Clear();
    const int count = batch.Receive(host_socket_->get(), false);
    if (count == 0) return OnFailedRead(batch.error());
    backoff_.Reset();
    const int64_t now = NowMicros();
    UdpFlow* current = nullptr;
    for (int i = 0; i < count; ++i) {
      const ReceivedTrain& train = batch[i];
      if (config_.trusted_proxies) {
        RelayProxied({train, now}, current);
      } else {
        Relay({train.peer, train.local}, train, {train, now}, current);
      }
    }
    if (current != nullptr) SendToContainer(*current);
    const uint32_t drops = batch[count - 1].kernel_drops;
    if (drops != 0)
      counters_.datagrams_lost_in_kernel.Add(drops - std::exchange(kernel_drops_, drops));
    if (!batch.full()) return;
  }
}

void UdpForward::Relay(const FlowKey& key, const Train& datagrams, const Arrival& arrival,
                       UdpFlow*& current) {
  if (current == nullptr || !(current->key == key)) {
    if (current != nullptr) SendToContainer(*current);
    current = nullptr;
    const bool is_limited = config_.admission && flows_.Find(key) == nullptr;
    if (is_limited) {
      const auto rejection = AcceptClient(key, datagrams.datagrams(), arrival);
      if (rejection) return LogRejection(key.client, *rejection, 0, arrival.now);
    }
    current = FlowFor(key, arrival);
    if (current == nullptr) {
      if (is_limited) GiveBackPlaces(key.client);
      counters_.datagrams_dropped.Add(datagrams.datagrams());
      return;
    }
    flows_.Touch(*current, arrival.now);
    current->failed_reads = 0;
  }
  // A load balancer may have sent it to another address than the one before.
  current->to_client.source = arrival.train.local;
  current->to_client.interface = arrival.train.interface;
  reactor_.Datagrams().to_container.Add(current->to_container, datagrams);
}

// A train from a load balancer may belong to many clients.
void UdpForward::RelayProxied(const Arrival& arrival, UdpFlow*& current) {
  const ReceivedTrain& train = arrival.train;
  if (!config_.trusted_proxies->sources.Contains(train.peer)) {
    counters_.proxy_sources_untrusted.Add(train.datagrams());
    return LogRejection(train.peer, SessionEnding::kProxyUntrusted, 0, arrival.now);
  }
  std::span<const char> rest = train.bytes;
  for (size_t left = train.datagrams(); left > 0; --left) {
    const auto datagram = rest.first(left == 1 ? rest.size() : train.segment_bytes);
    rest = rest.subspan(datagram.size());
    const ProxyReading reading = ReadProxyHeader(datagram, Protocol::kUdp);
    if (reading.verdict != ProxyVerdict::kWhole) {
      counters_.proxy_headers_malformed.Add();
      LogRejection(train.peer, SessionEnding::kProxyMalformed, 0, arrival.now);
      continue;
    }
    const auto& ends = reading.header.ends;
    Relay({ends ? ends->client : train.peer, train.peer}, {datagram.subspan(reading.size), 0},
          {train, arrival.now, &reading.header}, current);
  }
}

std::optional<SessionEnding> UdpForward::AcceptClient(const FlowKey& key, uint64_t datagrams,
                                                      const Arrival& arrival) {
  // A load balancer that speaks for itself is trusted.
  const bool is_known = arrival.upstream == nullptr || arrival.upstream->ends;
  if (is_known && !config_.admission->IsAllowed(key.client)) {
    counters_.sessions_denied.Add(datagrams);
    return SessionEnding::kDenied;
  }
  Admission& admission = *config_.admission;
  if (const auto rejection = admission.TryEnterAs(key.client, counters_, datagrams))
    return rejection;
  const auto rejection = admission.TryEnter(arrival.now, counters_, datagrams);
  if (rejection) admission.LeaveAs(key.client);
  return rejection;
}

void UdpForward::GiveBackPlaces(const Address& client) {
  if (!config_.admission) return;
  config_.admission->Leave();
  config_.admission->LeaveAs(client);
}

UdpFlow* UdpForward::FlowFor(const FlowKey& key, const Arrival& arrival) {
  const ReceivedTrain& train = arrival.train;
  UdpFlow* found = flows_.Find(key);
  if (found != nullptr) {
    const bool goes_on = (found->target == target_ && found->fd.valid()) || Reconnect(*found);
    return goes_on ? found : nullptr;
  }
  auto flow = std::make_unique<UdpFlow>(*this, key);
  if (config_.source_address == SourceAddress::kProxyV2)
    flow->proxy_header = ProxyHeaderFor(key, arrival);
  auto connected = Connect(*flow);
  if (IsOutOfDescriptors(connected) && reactor_.flow_room.EvictOldest()) connected = Connect(*flow);
  if (!connected.ok()) {
    const int error = -connected.error().code;
    LogRejection(key.client, SessionEnding::kConnectFailed, error, arrival.now);
    if (config_.first_failure)
      config_.first_failure->OnFailed({SessionEnding::kConnectFailed, error});
    return nullptr;
  }
  if (config_.first_failure) config_.first_failure->OnConnected();
  if (flows_.size() >= config_.limits.max_flows) {
    counters_.flows_evicted.Add();
    EndFlow(*flows_.oldest(), SessionEnding::kEvicted);
  } else {
    reactor_.flow_room.MakeRoom();
  }
  flow->to_client.connected = false;
  flow->to_client.segmentation = config_.limits.udp_segmentation;
  flow->to_client.peer = train.peer;
  flow->is_answered = train.peer.IsAnswerable();
  flow->begun_micros = flow->used_micros = arrival.now;
  counters_.sessions_total.Add();
  reactor_.memory.Begin();
  reactor_.flow_room.Begin();
  UdpFlow& inserted = flows_.Insert(std::move(flow));
  if (!armed()) ArmForOldest();
  return &inserted;
}

std::string UdpForward::ProxyHeaderFor(const FlowKey& key, const Arrival& arrival) {
  ProxyHeader header;
  if (arrival.upstream != nullptr) header = *arrival.upstream;
  if (!header.ends) {
    Address destination = arrival.train.local;
    destination.set_port(host_port_);
    header.ends = {key.client, destination};
  }
  if (header.unique_id.empty()) header.unique_id = reactor_.unique_ids.Next();
  return WriteProxyHeader(ProxyVersion::k2, Protocol::kUdp, header);
}

bool UdpForward::Reconnect(UdpFlow& flow) {
  if (flow.fd.valid()) {
    // What still waits at the old socket. This may end the flow.
    OnFlowReadable(flow);
    if (!flow.fd.valid()) return false;
    // So that its descriptor is free for the new one.
    CloseContainerSide(flow);
  }
  const auto connected = Connect(flow);
  // It could wait for a descriptor for ever. The client's next datagram starts a flow, which may
  // take the descriptor of an older one.
  if (IsOutOfDescriptors(connected)) EndFlow(flow, SessionEnding::kLocalFailure);
  return connected.ok();
}

Result<void> UdpForward::Connect(UdpFlow& flow) {
  const auto entered = reactor_.netns.Enter(target_->netns);
  if (!entered.ok()) return entered;
  auto opened = OpenContainerSide(flow);
  if (!opened.ok()) return opened.error();
  if (!DescriptorBudget::OfProcess().HasRoomFor(opened.value().get()))
    return SysError{-EMFILE, "socket"};
  auto watched = reactor_.epoll.Add(opened.value().get(), EPOLLIN, flow);
  if (!watched.ok()) return watched;
  flow.fd = std::move(opened.value());
  flow.target = target_;
  if (!config_.limits.udp_segmentation) SetReceiveOffload(flow.fd.get(), false);
  flow.to_container = {.segmentation = config_.limits.udp_segmentation,
                       .prefix = flow.proxy_header};
  flow.kernel_drops = 0;
  return {};
}

Result<UniqueFd> UdpForward::OpenContainerSide(UdpFlow& flow) {
  if (config_.source_address == SourceAddress::kTransparent) {
    // A flow that moves to another target cannot bind the client's port twice.
    CloseContainerSide(flow);
    flow.lease.reset();
    // Over UDP there is no way to find out whether a server listens at the counterpart.
    auto as_client =
        ConnectAsClient(reactor_.client_routes, target_->netns, Protocol::kUdp,
                        flow.key.client.Unmapped(), target_->address, Counterpart::kAvoided);
    if (as_client.ok()) {
      flow.lease = std::move(as_client.value().lease);
      return std::move(as_client.value().fd);
    }
    if (IsOutOfDescriptors(-as_client.error().code)) return as_client.error();
    counters_.source_address_fallbacks.Add();
  }
  return OpenConnectedDatagramSocket(target_->address);
}

void UdpForward::Retarget(TargetPtr target) {
  // A container engine reports every change of its networks, also those that change nothing here.
  if (target->IsSameAs(*target_)) return;
  target_ = std::move(target);
  for (UdpFlow* flow = flows_.oldest(); flow != nullptr; flow = flow->newer) {
    if (flow->lease) flow->lease->ReleaseSource();
  }
}

void UdpForward::SendToContainer(UdpFlow& flow) {
  const SendOutcome sent = reactor_.Datagrams().to_container.Flush(flow.fd.get());
  flow.bytes_to_container += sent.bytes;
  counters_.bytes_to_container.Add(sent.bytes);
  counters_.datagrams_to_container.Add(sent.datagrams);
  counters_.datagrams_dropped.Add(sent.dropped);
}

void UdpForward::OnFlowReadable(UdpFlow& flow) {
  if (!flow.fd.valid()) return;
  DatagramMemory& memory = reactor_.Datagrams();
  if (memory.replies_of != this || memory.from_container.full()) {
    if (memory.replies_of != nullptr) memory.replies_of->SendReplies();
    memory.replies_of = this;
    reactor_.QueueTurn(*this);
  }
  const int first = memory.from_container.used();
  const int max = flow.lone_answers % kLoneAnswersToProbe == 0 ? ReceiveBatch::kSlots : 1;
  const int count = memory.from_container.Receive(flow.fd.get(), true, max);
  if (count == 0) {
    if (memory.from_container.error() == EAGAIN ||
        ++flow.failed_reads <= Backoff::kMaxFailuresInARow)
      return;
    counters_.local_failures.Add();
    EndFlow(flow, SessionEnding::kLocalFailure);
    return;
  }
  flows_.Touch(flow, NowMicros());
  flow.failed_reads = 0;
  flow.lone_answers = count == 1 ? flow.lone_answers + 1 : 0;
  for (int i = first; i < first + count; ++i) {
    const ReceivedTrain& train = memory.from_container[i];
    flow.bytes_to_host += train.bytes.size();
    if (flow.is_answered)
      memory.to_clients.Add(flow.to_client, train);
    else
      counters_.datagrams_dropped.Add(train.datagrams());
    if (train.kernel_drops == 0) continue;
    counters_.datagrams_lost_in_kernel.Add(train.kernel_drops -
                                           std::exchange(flow.kernel_drops, train.kernel_drops));
  }
}

void UdpForward::OnTurn() {
  if (reactor_.Datagrams().replies_of == this) SendReplies();
}

void UdpForward::SendReplies() {
  DatagramMemory& memory = reactor_.Datagrams();
  const SendOutcome sent = memory.to_clients.Flush(host_socket_->get());
  counters_.bytes_to_host.Add(sent.bytes);
  counters_.datagrams_to_host.Add(sent.datagrams);
  counters_.datagrams_dropped.Add(sent.dropped);
  memory.from_container.Clear();
  memory.replies_of = nullptr;
}

void UdpForward::OnTimer() {
  const int64_t oldest_to_keep = NowMicros() - config_.limits.udp_timeout_micros;
  while (flows_.oldest() != nullptr && flows_.oldest()->used_micros <= oldest_to_keep)
    EndFlow(*flows_.oldest(), SessionEnding::kIdleTimeout);
  ArmForOldest();
}

void UdpForward::ArmForOldest() {
  if (flows_.oldest() == nullptr) return;
  reactor_.timers.Arm(*this, flows_.oldest()->used_micros + config_.limits.udp_timeout_micros);
}

int64_t UdpForward::OldestUseMicros() const {
  const UdpFlow* oldest = flows_.oldest();
  return oldest == nullptr ? std::numeric_limits<int64_t>::max() : oldest->used_micros;
}

void UdpForward::EvictOldest() {
  counters_.flows_displaced.Add();
  EndFlow(*flows_.oldest(), SessionEnding::kEvicted);
}

// Bucket by bucket, since flows change their order whenever they are used. If the table has grown,
// it is visited again from the start; `listing` tells which are in the list already.
bool UdpForward::Describe(SessionListing& listing, size_t& left) {
  const int64_t now = NowMicros();
  size_t bucket = listing.places == flows_.buckets() ? listing.place.value_or(0) : 0;
  listing.places = flows_.buckets();
  const auto describe = [&](UdpFlow& flow) {
    left -= std::min<size_t>(left, 1);
    if (std::exchange(flow.listing, listing.number) == listing.number) return;
    listing.sessions.push_back({config_.id, Protocol::kUdp, SessionState::kOpen,
                                flow.key.client.Unmapped(), flow.target->address, SourceOf(flow.fd),
                                flow.bytes_to_container, flow.bytes_to_host,
                                now - flow.begun_micros});
  };
  for (; bucket < listing.places && left > 0; ++bucket) {
    --left;
    flows_.VisitBucket(bucket, describe);
  }
  listing.place = bucket;
  return bucket == listing.places;
}

}  // namespace spliceport
