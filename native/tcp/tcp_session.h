// tcp_session.h: one pair of TCP connections: the client's on the host side, ours to the server on
//                the container side.
// Owns:   both sockets and the two pumps between them. Owned by its TcpForward.
// Thread: the worker that accepted the client, or the one that the session has moved to.
// Fails:  never upwards: a session that cannot continue resets its client and is counted.
// The theory of operation is at the top of tcp_session.cc; the table of states is below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/proxy_protocol.h"
#include "relay/forward_types.h"
#include "relay/pump.h"
#include "relay/session_log.h"
#include "routes/address_check.h"
#include "routes/transparent.h"
#include "tcp/session_load.h"

namespace spliceport {

class TcpForward;
struct ForwardConfig;

class TcpSession final : public Deletable, private Runnable, private Timer {
 public:
  TcpSession(TcpForward& forward, UniqueFd client_fd, const Address& client, TargetPtr target);
  // Resets both ends if the session is not closed.
  ~TcpSession() override;
  TcpSession(const TcpSession&) = delete;
  TcpSession& operator=(const TcpSession&) = delete;
  // Once, after the forward has taken the session in. Starts to connect, after a PROXY header if
  // one is expected. May end the session at once.
  void Start();
  // Closes the session without calling its forward. Both ends get a RST: after a FIN, truncated
  // data would pass for complete.
  void Abort(SessionEnding why);
  // After a move between workers: AttachTo names the forward that it belongs to now. Resume then
  // continues it, on that worker.
  void AttachTo(TcpForward& forward);
  void Resume();
  // After a retarget: a session that is still connecting connects to the new target, and one whose
  // address is gone ends, since it would hang until its keepalive fails. May end the session.
  void FollowRetarget(AddressCheck& addresses);
  SessionInfo Describe() const;
  const Address& client() const { return client_; }

  // Its index in the forward's list. Only the forward changes it.
  size_t index = 0;
  // The last listing that it is part of.
  uint32_t listing = 0;
  // How many retargets of the forward it has followed.
  uint32_t retargets = 0;
  // Whether it has a place among those of its client, which a load balancer may have to name first.
  bool has_client_place = false;

 private:
  // The events that both sockets are watched for. They never change.
  static constexpr uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

  struct Side final : StreamEnd, EventHandler {
    explicit Side(TcpSession& owner) : session(owner) {}
    void OnEvents(uint32_t events) override { session.OnSideEvents(*this, events); }
    TcpSession& session;
  };

  // In all states but kClosed, host_.fd is open. "In epoll" names the sockets in the epoll set.
  // lease_ is null in every state unless the server sees the client's own address.
  //
  //   state            in epoll          valid besides host_      timer; deadline_micros_
  //   kAwaitingHeader  host_             -                        header timeout; not in use
  //   kConnecting      container_, if    target_; in an attempt   next attempt; when to give up
  //                    open; host_, if   container_.fd, lease_
  //                    watches_client_
  //   kOpen            both              container_.fd, target_   keepalive, once; not in use
  //   kResetting       both              as kOpen, reset_side_    next poll; when to give up
  //                                                               without progress
  //   kClosed          none              nothing                  none
  //
  //   from             to               moved by
  //   (constructor)    kConnecting      Start: to kAwaitingHeader if the forward reads headers
  //   kAwaitingHeader  kConnecting      ReceiveHeader, with a complete header
  //                    kClosed          Reject: malformed, late, denied
  //   kConnecting      kOpen            OnConnectEvent, through Open
  //                    kClosed          GiveUpConnecting; OnClientWaiting
  //   kOpen            kResetting       BeginReset, by an event or by HandlePumpState
  //                    kClosed          Advance, after both FINs; Fail; FollowRetarget
  //   kResetting       kClosed          AdvanceReset; Fail
  //   any              kClosed          Abort; the forward frees the session after the batch
  enum class State : uint8_t { kAwaitingHeader, kConnecting, kOpen, kResetting, kClosed };

  void OnSideEvents(Side& side, uint32_t events);
  void OnTurn() override;
  void OnTimer() override;

  // What the forward it belongs to now lends it; defined in tcp_forward.h.
  Reactor& reactor() const;
  ForwardCounters& counters() const;
  const ForwardConfig& config() const;

  void AwaitHeader();
  // In kAwaitingHeader. Waits on if the header is incomplete.
  void ReceiveHeader();
  // Before kConnecting has begun.
  void Reject(SessionEnding why);
  // In kConnecting, while container_.fd is closed. May end the session.
  void Connect();
  // Opens the container side's socket, which starts to connect. The worker is in target_->netns.
  Result<void> OpenContainerSide();
  // In kConnecting, after an attempt has failed with `error` (a positive errno).
  void RetryConnect(int error);
  // Where the container side leads: the target, or another address of its interface.
  const Address& server() const { return lease_ ? lease_->server() : target_->address; }
  bool LeadsToCounterpart() const { return server().is_v6() != target_->address.is_v6(); }
  void GiveUpConnecting(SessionEnding why);
  // The timer's turn in kConnecting. May end the session.
  void ContinueConnecting();
  // The moment until which a server that refuses is tried again, and the end of all attempts.
  int64_t PatientUntil() const;
  void SetConnectDeadline();
  // In kConnecting, once a server has been tried as often as without waitForServerMs.
  void BeginWait();
  // In kConnecting: something has come from a client that waits. May end the session.
  void OnClientWaiting(uint32_t events);
  void OnConnectEvent(uint32_t events);
  // kConnecting to kOpen. False if the session has ended instead.
  bool Open();
  // The next four are for kOpen. False once the session has left it.
  bool SendProxyHeader();
  void Advance();
  bool RunPump(Pump& pump, Side& from, Side& to, bool& passed_end);
  bool HandlePumpState(PumpState state, Side& from, Side& to, bool& passed_end);
  // Turns keepalive on for the container side. The client side inherits it from the listener.
  void KeepAlive();
  void UpdateLoad();
  // In kOpen, in a turn of its own. The session may be gone when it returns.
  void MoveTo(size_t worker);
  void LimitSendBuffer(Side& side);
  // After both FINs, with a lease_: gives the socket to ClientRoutes until all is acknowledged.
  void LingerUntilAcked();
  bool HasLostAddress(AddressCheck& addresses) const;
  // In kOpen: `side` is dead. What it sent before is still passed on.
  void BeginReset(Side& side);
  void AdvanceReset();
  void ResetBoth();
  // A system call failed for a reason of this machine, so data may be missing: resets both ends.
  void Fail();
  // From any state to kClosed, without calling the forward.
  void Close(SessionEnding why);
  // Close, and the forward counts and frees the session.
  void End(SessionEnding why);
  void LogEnd(SessionEnding why) const;
  SessionState PublicState() const;
  // Adds what the pumps have moved since the last call to the forward's counters.
  void Count();

  TcpForward* forward_;  // Another one after each move.
  TargetPtr target_;
  Address client_;
  Side host_;
  Side container_;
  ClientLeasePtr lease_;
  Pump to_container_;
  Pump to_host_;
  int64_t begun_micros_;
  // See the table of states.
  int64_t deadline_micros_ = 0;
  int64_t connect_micros_ = -1;  // -1 before kOpen.
  // What a load balancer said about the client, until it has been passed on to the server.
  std::unique_ptr<ProxyHeader> upstream_header_;
  SessionLoad load_;
  // What Count has counted already of the pumps' bytes(); at most that.
  uint64_t counted_to_container_ = 0;
  uint64_t counted_to_host_ = 0;
  // The end that is dead: null before kResetting, then one of the two sides.
  Side* reset_side_ = nullptr;
  // In kResetting: bytes that the other end has not acknowledged, or that are not sent yet.
  uint64_t unacked_bytes_ = 0;
  int connect_error_ = 0;      // Of the last attempt that failed; a positive errno.
  uint16_t header_bytes_ = 0;  // Size of the PROXY header that preceded the client's stream.
  State state_ = State::kConnecting;
  uint8_t attempts_ = 0;     // To connect, that have failed, except because of exhaustion.
  uint8_t reset_polls_ = 0;  // Timers in kResetting, which are ever further apart.
  // The FIN for this end has been sent, or close(2) will send it.
  bool container_got_end_ = false;
  bool host_got_end_ = false;
  Counterpart counterpart_ = Counterpart::kAllowed;
  bool waits_ = false;           // BeginWait has been called.
  bool watches_client_ = false;  // In kConnecting: host_ is in the epoll set.
};

}  // namespace spliceport
