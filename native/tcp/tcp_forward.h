// tcp_forward.h: one worker's part in a TCP forward: accepts clients from the shared listener, owns their sessions.
// Owns:   its sessions; a share of the listener.
// Thread: the worker's.
// Fails:  an accept that fails for want of descriptors or memory, or for a reason that lasts, makes the listener pause for a
//         moment, and so does the process's budget of descriptors when it is used up; the clients wait in its queue, and nothing else can close it but StopAccepting.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "relay/forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

// What the parts of a forward on different workers do for each other.
class ForwardParts {
 public:
  // Has the other parts call TakeSome.
  virtual void ShareCrowd(int id) = 0;
  // Comes to Adopt of the other part, and is answered by EndMove of this one.
  virtual void MoveSession(int id, size_t to, std::unique_ptr<TcpSession> session) = 0;

 protected:
  ~ForwardParts() = default;
};

class TcpForward final : public Forward, private EventHandler, private Timer, private Runnable {
 public:
  TcpForward(Reactor& reactor, ForwardOwner& owner, ForwardParts& parts,
             const ForwardConfig& config, ForwardCounters& counters);
  ~TcpForward() override { reactor_.CancelTurn(*this); }
  TcpForward(const TcpForward&) = delete;
  TcpForward& operator=(const TcpForward&) = delete;
  Result<void> Start();

  void Retarget(TargetPtr target) override;
  void StopAccepting(bool drain) override;
  void CloseAll() override;
  bool Done() const override { return !listener_ && sessions_.empty() && moving_ == 0; }
  bool Describe(SessionListing& listing, size_t& left) override;
  const TargetPtr& target() const override { return target_; }

  // For its sessions.
  Reactor& reactor() { return reactor_; }
  ForwardCounters& counters() { return counters_; }
  const Limits& limits() const { return limits_; }
  int id() const { return id_; }
  bool WritesProxyHeaders() const {
    return source_address_ == SourceAddress::kProxyV1 || source_address_ == SourceAddress::kProxyV2;
  }
  // The header for a client's connection `fd`, of which a load balancer may have told more.
  std::string IntroductionOf(const Address& client, int fd, const ProxyHeader* told);
  // By its address; counts it where it may not.
  bool Permits(const Address& client);
  const ProxyTrust* accept_proxy() const { return accept_proxy_.get(); }
  SourceAddress source_address() const { return source_address_; }
  SessionLog* session_log() const { return session_log_.get(); }
  // Stops accepting for a moment, because something has run out.
  void PauseAccepting();
  void Release(TcpSession& session);
  // Takes in some of a crowd that is more than the accepting workers can keep up with.
  void TakeSome();
  // Gives a session to another worker. This part is not done until it is known to be there.
  void Move(TcpSession& session, size_t to);
  // Takes a session in that another worker had.
  void Adopt(std::unique_ptr<TcpSession> session);
  // A session that was given away has arrived, or comes back because the other worker's part is gone.
  void EndMove(std::unique_ptr<TcpSession> returned);

 private:
  void OnEvents(uint32_t events) override;
  void OnTimer() override;
  // Has some sessions follow the last retarget.
  void OnTurn() override;
  void Follow(TcpSession& session, AddressCheck& addresses);
  // The number accepted, at most `most`.
  int AcceptSome(int most);
  // Whether to try the next client at once; if not, the listener pauses.
  bool GoesOnAfter(int error);
  void PauseFor(int64_t micros);
  void EndPause();
  void Insert(std::unique_ptr<TcpSession> session);
  std::unique_ptr<TcpSession> TakeOut(TcpSession& session);
  void CutOff(std::unique_ptr<TcpSession> session);
  Result<void> Watch();
  // Takes a place for the client, or says why it has none.
  std::optional<SessionEnding> RefusalOf(const Address& client);
  void Refuse(int fd, const Address& client, SessionEnding why);
  // Of a session that has ended.
  void CountOut();

  Reactor& reactor_;
  ForwardOwner& owner_;
  ForwardParts& parts_;
  ForwardCounters& counters_;
  const int id_;
  const Limits limits_;
  const ProxyTrustPtr accept_proxy_;
  const AdmissionPtr admission_;
  const SessionLogPtr session_log_;
  const SourceAddress source_address_;
  const bool accepts_;
  SharedFd listener_;
  TargetPtr target_;
  int accepts_per_wake_ = 1;
  Backoff backoff_;
  bool closing_all_ = false;
  int moving_ = 0;
  uint32_t retargets_ = 0;
  // Those before it have yet to follow the last one.
  size_t followers_left_ = 0;
  std::vector<std::unique_ptr<TcpSession>> sessions_;
};

}  // namespace spliceport
