// tcp_forward.h: one worker's part of a TCP forward: accepts clients from the shared listener and
//                owns their sessions.
// Owns:   its sessions; a share of the listener.
// Thread: the worker's.
// Fails:  if accept(2) fails because descriptors or memory have run out, or for a reason that
//         lasts, or if the process's budget of descriptors is used up, the listener pauses for a
//         moment. Clients wait in its queue. Only StopAccepting closes it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "relay/forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

// What a forward's part on one worker needs of that worker, and of the parts on others.
class ForwardHost {
 public:
  // A forward that has stopped accepting is done.
  virtual void OnForwardDone(int id) = 0;
  // Has the other parts call AcceptBatch.
  virtual void ShareBacklog(int id) = 0;
  // Has the part on worker `to` adopt the session. EndMove of this part is called afterwards.
  virtual void MoveSession(int id, size_t to, std::unique_ptr<TcpSession> session) = 0;

 protected:
  ~ForwardHost() = default;
};

class TcpForward final : public Forward, private EventHandler, private Timer, private Runnable {
 public:
  TcpForward(Reactor& reactor, ForwardHost& host, ForwardConfig config, ForwardCounters& counters);
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
  // Without host_socket and target, which change.
  const ForwardConfig& config() const { return config_; }
  bool WritesProxyHeaders() const {
    return config_.source_address == SourceAddress::kProxyV1 ||
           config_.source_address == SourceAddress::kProxyV2;
  }
  // The header for a client's connection `fd`. `upstream` is what a load balancer said, or null.
  std::string ProxyHeaderFor(const Address& client, int fd, const ProxyHeader* upstream);
  // Checks its address, and takes one of the places of this client. Returns why it is rejected, if
  // it is, and counts that.
  std::optional<SessionEnding> EnterAs(const Address& client);
  // For a moment, because descriptors or memory have run out.
  void PauseAccepting();
  // Takes a session that has ended out of the list, counts it, and frees it after the batch.
  void Release(TcpSession& session);
  // Accepts part of a backlog that is too long for the accepting workers.
  void AcceptBatch();
  // Gives a session to another worker. This part is not done until the other has it.
  void Move(TcpSession& session, size_t to);
  // Takes in a session that another worker had.
  void Adopt(std::unique_ptr<TcpSession> session);
  // A move has ended: null if the session has arrived. Otherwise it comes back, because the other
  // worker's part is gone.
  void EndMove(std::unique_ptr<TcpSession> returned);

 private:
  void OnEvents(uint32_t events) override;
  // The end of a pause.
  void OnTimer() override;
  // Has some sessions follow the last retarget.
  void OnTurn() override;
  void Follow(TcpSession& session, AddressCheck& addresses);
  // Accepts at most `max` clients; returns how many. The listener is open and does not pause.
  int AcceptUpTo(int max);
  // Whether to try the next client at once. If not, the listener pauses.
  bool ContinuesAfter(int error);
  void PauseFor(int64_t micros);
  // While it pauses.
  void EndPause();
  void Insert(std::unique_ptr<TcpSession> session);
  std::unique_ptr<TcpSession> Extract(TcpSession& session);
  // Ends a session that is no longer in the list.
  void Abort(std::unique_ptr<TcpSession> session);
  Result<void> Watch();
  // Checks every gate, and takes a place for the client. Returns why the client is rejected, if it
  // is.
  std::optional<SessionEnding> AcceptClient(const Address& client);
  void Reject(int fd, const Address& client, SessionEnding why);
  // A session has ended: gives back its places, and counts it.
  void CountClosed(const TcpSession& session);

  Reactor& reactor_;
  ForwardHost& host_;
  ForwardCounters& counters_;
  SharedFd listener_;  // Null after StopAccepting.
  TargetPtr target_;
  const ForwardConfig config_;
  int accepts_per_wake_ = 1;
  Backoff backoff_;
  bool closing_all_ = false;
  int moving_ = 0;  // Calls of Move without their EndMove.
  uint32_t retargets_ = 0;
  // The sessions before this index have yet to follow the last retarget.
  size_t followers_left_ = 0;
  // sessions_[i]->index == i.
  std::vector<std::unique_ptr<TcpSession>> sessions_;
};

inline Reactor& TcpSession::reactor() const { return forward_->reactor(); }
inline ForwardCounters& TcpSession::counters() const { return forward_->counters(); }
inline const ForwardConfig& TcpSession::config() const { return forward_->config(); }

}  // namespace spliceport
