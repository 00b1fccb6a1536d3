// udp_forward.h: a UDP forward, run by one worker: datagrams between the host socket and a flow per client.
// Owns:   its flows and the host socket. Thread: the worker's.
// Fails:  never upwards: a datagram that cannot go on is dropped and counted. A host socket that keeps failing is left alone
//         for a while, and counted; a flow whose socket does ends. See udp_forward.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/backoff.h"
#include "relay/forward.h"
#include "udp/udp_flows.h"

namespace spliceport {

class UdpForward final : public Forward,
                         private EventHandler,
                         private Runnable,
                         private Timer,
                         private ReplySink,
                         private EvictableFlows {
 public:
  UdpForward(Reactor& reactor, const ForwardConfig& config, ForwardCounters& counters);
  Result<void> Start();

  void Retarget(TargetPtr target) override;
  void StopAccepting(bool drain) override;
  void CloseAll() override;
  bool Done() const override { return !host_socket_; }
  bool Describe(SessionListing& listing, size_t& left) override;
  const TargetPtr& target() const override { return target_; }

  // A flow's container socket has something to say.
  void OnFlowReadable(UdpFlow& flow);

 private:
  void OnEvents(uint32_t events) override;
  void OnTurn() override;
  void OnTimer() override;
  void SendReplies() override;
  int64_t OldestUseMicros() const override;
  void EvictOldest() override;

  // How a datagram, or a train, came.
  struct Arrival {
    const ReceivedTrain& train;
    int64_t now = 0;
    const ProxyHeader* told = nullptr;  // What a load balancer said of it.
  };
  // Adds to what waits for `current`, or sends that off when `key` is of another flow, which is current then.
  void Relay(const FlowKey& key, const Train& datagrams, const Arrival& arrival, UdpFlow*& current);
  void RelayProxied(const Arrival& arrival, UdpFlow*& current);
  // Takes a place for a flow that begins, or says why it may not, and counts the datagrams.
  std::optional<SessionEnding> RefusalOf(const FlowKey& key, uint64_t datagrams,
                                         const Arrival& arrival);
  // Of datagrams that begin no flow.
  void TellOfRefusal(const Address& client, SessionEnding why, int error, int64_t now);
  // Null when there can be none now: no descriptors, no way into the namespace, no route.
  UdpFlow* FlowFor(const FlowKey& key, const Arrival& arrival);
  std::string IntroductionOf(const FlowKey& key, const Arrival& arrival);
  // Gives a flow that has no socket, or one of an earlier target, another. Where that fails, the flow may have ended.
  bool Reconnect(UdpFlow& flow);
  Result<void> Connect(UdpFlow& flow);
  Result<UniqueFd> OpenContainerSide(UdpFlow& flow);
  void SendToContainer(UdpFlow& flow);
  void CloseContainerSide(UdpFlow& flow);
  void EndFlow(UdpFlow& flow, SessionEnding why);
  void Tell(const UdpFlow& flow, SessionEnding why) const;
  Result<void> Watch();
  // Leaves the host socket alone for a while if it keeps failing.
  void OnFailedRead(int error);
  void ArmForOldest();

  // The end of a pause of the host socket.
  struct Pause final : public Timer {
    explicit Pause(UdpForward& owner) : forward(owner) {}
    void OnTimer() override;
    UdpForward& forward;
  };

  Reactor& reactor_;
  ForwardCounters& counters_;
  const int id_;
  const Limits limits_;
  const ProxyTrustPtr accept_proxy_;
  const AdmissionPtr admission_;
  const SessionLogPtr session_log_;
  SharedFd host_socket_;
  TargetPtr target_;
  const SourceAddress source_address_;
  uint16_t host_port_ = 0;  // Where headers have to name it.
  UdpFlows flows_;
  uint32_t kernel_drops_ = 0;
  int64_t next_refusal_micros_ = 0;  // Earliest that the next one is told of.
  Backoff backoff_;
  Pause pause_;
};

}  // namespace spliceport
