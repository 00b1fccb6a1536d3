// udp_forward.h: a UDP forward, run by one worker: datagrams between the host socket and a flow per
//                client.
// Owns:   its flows and the host socket.
// Thread: the worker's.
// Fails:  never upwards: a datagram that cannot be passed on is dropped and counted. A host socket
//         that keeps failing pauses, which is counted; a flow whose socket keeps failing ends. The
//         theory of operation is at the top of udp_forward.cc.
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
  UdpForward(Reactor& reactor, ForwardConfig config, ForwardCounters& counters);
  Result<void> Start();

  void Retarget(TargetPtr target) override;
  void StopAccepting(bool drain) override;
  void CloseAll() override;
  bool Done() const override { return !host_socket_; }
  bool Describe(SessionListing& listing, size_t& left) override;
  const TargetPtr& target() const override { return target_; }

  // A flow's container socket is readable.
  void OnFlowReadable(UdpFlow& flow);

 private:
  void OnEvents(uint32_t events) override;
  void OnTurn() override;
  void OnTimer() override;
  void SendReplies() override;
  int64_t OldestUseMicros() const override;
  void EvictOldest() override;

  // How a datagram or a train arrived.
  struct Arrival {
    const ReceivedTrain& train;
    int64_t now = 0;
    const ProxyHeader* upstream = nullptr;  // What a load balancer said about it.
  };
  // Adds to what waits to be sent to `current`. If `key` belongs to another flow, sends what waits
  // first, and makes that flow current; null if there can be none.
  void Relay(const FlowKey& key, const Train& datagrams, const Arrival& arrival, UdpFlow*& current);
  void RelayProxied(const Arrival& arrival, UdpFlow*& current);
  // For a flow that begins: takes a place for it, or counts its datagrams and returns why it is
  // rejected.
  std::optional<SessionEnding> AcceptClient(const FlowKey& key, uint64_t datagrams,
                                            const Arrival& arrival);
  void GiveBackPlaces(const Address& client);
  // For datagrams that begin no flow.
  void LogRejection(const Address& client, SessionEnding why, int error, int64_t now);
  // Finds or starts a flow. Null if there can be none now: no descriptor, no permission to enter
  // the namespace, no route.
  UdpFlow* FlowFor(const FlowKey& key, const Arrival& arrival);
  std::string ProxyHeaderFor(const FlowKey& key, const Arrival& arrival);
  // Gives a flow without a socket, or with one for an earlier target, a new one. If that fails, the
  // flow may have ended.
  bool Reconnect(UdpFlow& flow);
  // For a flow without a socket.
  Result<void> Connect(UdpFlow& flow);
  Result<UniqueFd> OpenContainerSide(UdpFlow& flow);
  // Sends the batch that waits, all of which is this flow's.
  void SendToContainer(UdpFlow& flow);
  void CloseContainerSide(UdpFlow& flow);
  void EndFlow(UdpFlow& flow, SessionEnding why);
  void LogEnd(const UdpFlow& flow, SessionEnding why) const;
  Result<void> Watch();
  // Pauses if the host socket keeps failing.
  void OnFailedRead(int error);
  void ArmForOldest();

  // Armed during a pause, when the host socket is not in the epoll set.
  struct Pause final : public Timer {
    explicit Pause(UdpForward& owner) : forward(owner) {}
    void OnTimer() override;
    UdpForward& forward;
  };

  Reactor& reactor_;
  ForwardCounters& counters_;
  SharedFd host_socket_;  // Null once it is done.
  TargetPtr target_;
  const ForwardConfig config_;  // Without host_socket and target, which change.
  uint16_t host_port_ = 0;      // What PROXY headers name; 0 if it writes none.
  UdpFlows flows_;
  uint32_t kernel_drops_ = 0;
  int64_t next_rejection_log_micros_ = 0;
  Backoff backoff_;
  Pause pause_;
};

}  // namespace spliceport
