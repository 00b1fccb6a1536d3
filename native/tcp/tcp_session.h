// tcp_session.h: one TCP connection pair: the client's on the host side, ours to the server on the container side.
// Owns:   both sockets and the two pumps between them. Owned by its TcpForward.
// Thread: the worker that accepted the client, or the one that it moved to.
// Fails:  never upwards: a session that cannot go on resets its client and is counted. States: see tcp_session.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/proxy_protocol.h"
#include "relay/pump.h"
#include "relay/session_log.h"
#include "relay/target.h"
#include "routes/address_check.h"
#include "routes/transparent.h"

namespace spliceport {

class TcpForward;

class TcpSession final : public Mortal, private Runnable, private Timer {
 public:
  TcpSession(TcpForward& forward, UniqueFd client_fd, const Address& client, TargetPtr target);
  // Its ends get a RST if it is not closed.
  ~TcpSession() override;
  TcpSession(const TcpSession&) = delete;
  TcpSession& operator=(const TcpSession&) = delete;
  // Begins to connect, if need be after a PROXY header has come; may end the session at once.
  void Start();
  // Ends it without a word to the forward. Both ends get a RST: after a FIN, what was cut off would pass for whole.
  void Cut(SessionEnding why);
  // After a move between workers: the forward it belongs to now, and then, on that worker, what starts it again.
  void BelongTo(TcpForward& forward);
  void Resume();
  // After a retarget: one that still connects is to go where the forward leads now, and one whose address is gone would
  // hang until its keepalive fails. May end the session.
  void FollowRetarget(AddressCheck& addresses);
  SessionInfo Describe() const;

  // The place in its forward's list.
  size_t index = 0;
  // The last listing that it is in.
  uint32_t listing = 0;
  // The forward's retargets that it has followed.
  uint32_t retargets = 0;

 private:
  // What both sockets are watched for, once and for all.
  static constexpr uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

  struct Side final : StreamEnd, EventHandler {
    explicit Side(TcpSession& owner) : session(owner) {}
    void OnEvents(uint32_t events) override { session.OnSideEvents(*this, events); }
    TcpSession& session;
  };
  enum class State : uint8_t { kAwaitingHeader, kConnecting, kOpen, kResetting, kClosed };

  void OnSideEvents(Side& side, uint32_t events);
  void OnTurn() override;
  void OnTimer() override;

  void AwaitHeader();
  void TakeHeader();
  void Refuse(SessionEnding why);
  void Connect();
  // Gives the container side a socket that connects.
  Result<void> OpenContainerSide();
  void RetryConnect(int error);
  // Where the container's side leads: the target, or another address of its interface.
  const Address& server() const { return lease_ ? lease_->server() : target_->address; }
  bool LeadsToCounterpart() const { return server().is_v6() != target_->address.is_v6(); }
  void GiveUpConnecting(SessionEnding why);
  void OnConnectEvent(uint32_t events);
  // False when it could not.
  bool Open();
  bool Introduce();
  void Advance();
  bool RunPump(Pump& pump, Side& from, Side& to, bool& passed_end);
  bool Settle(PumpState state, Side& from, Side& to, bool& passed_end);
  // Has the container's side find out about a server that vanishes; the client's side inherits this.
  void KeepAlive();
  void NoteLoad();
  Load LoadNow(bool lasts) const;
  void MoveTo(size_t worker);
  void HoldSendBuffer(Side& side);
  void KeepWayBack();
  bool IsCutOff(AddressCheck& addresses) const;
  void BeginReset(Side& dead);
  void AdvanceReset();
  void ResetBoth();
  // A call on this machine has failed, so that what was passed on may not be all.
  void Break();
  void Close(SessionEnding why);
  void End(SessionEnding why);
  void Tell(SessionEnding why) const;
  void Count();

  TcpForward* forward_;
  TargetPtr target_;
  Address client_;
  Side host_;
  Side container_;
  // Null unless the server sees the client's own address.
  ClientLeasePtr lease_;
  Pump to_container_;
  Pump to_host_;
  int64_t begun_micros_;
  int64_t deadline_micros_ = 0;
  int64_t connect_micros_ = -1;  // Negative until there is a connection.
  // What a load balancer said of the client, while the server is to hear of it.
  std::unique_ptr<ProxyHeader> told_;
  size_t counted_at_;  // The worker whose load it is part of.
  uint64_t counted_to_container_ = 0;
  uint64_t counted_to_host_ = 0;
  Side* dead_ = nullptr;
  // In kResetting: what the living end has not acknowledged, or not even been sent.
  uint64_t owed_bytes_ = 0;
  int connect_error_ = 0;      // Of the last attempt that failed.
  uint16_t header_bytes_ = 0;  // That the client's side sent ahead of the stream.
  State state_ = State::kConnecting;
  uint8_t attempts_ = 0;
  uint8_t reset_polls_ = 0;
  uint8_t advances_ = 0;  // Since it asked last whether it should move.
  Load load_ = Load::kUnknown;
  bool container_got_end_ = false;
  bool host_got_end_ = false;
  bool is_to_move_ = false;
  Counterpart counterpart_ = Counterpart::kAllowed;
};

}  // namespace spliceport
