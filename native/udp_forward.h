// udp_forward.h: a UDP forward, run by one worker: datagrams between the host socket and a flow per client.
// Owns:   its flows and the host socket. Thread: the worker's.
// Fails:  never upwards: a datagram that cannot go on is dropped and counted. See udp_forward.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "forward.h"
#include "udp_flows.h"

namespace spliceport {

class UdpForward final : public Forward,
                         private EventHandler,
                         private Runnable,
                         private Timer,
                         private ReplySink {
 public:
  UdpForward(Reactor& reactor, const ForwardConfig& config, ForwardCounters& counters);
  Result<void> Start();

  void Retarget(TargetPtr target) override { target_ = std::move(target); }
  void StopAccepting(bool drain) override;
  void CloseAll() override;
  bool Done() const override { return !host_socket_; }
  void Describe(std::vector<SessionInfo>& sessions) const override;
  const TargetPtr& target() const override { return target_; }

  // A flow's container socket has something to say.
  void OnFlowReadable(UdpFlow& flow);

 private:
  void OnEvents(uint32_t events) override;
  void OnTurn() override;
  void OnTimer() override;
  void SendReplies() override;

  UdpFlow* FlowFor(const ReceivedTrain& train, int64_t now);
  bool Connect(UdpFlow& flow);
  void SendToContainer(UdpFlow& flow);
  void EndFlow(UdpFlow& flow);
  void ArmForOldest();

  Reactor& reactor_;
  ForwardCounters& counters_;
  const int id_;
  const Limits limits_;
  SharedFd host_socket_;
  TargetPtr target_;
  UdpFlows flows_;
  uint32_t kernel_drops_ = 0;
};

}  // namespace spliceport
