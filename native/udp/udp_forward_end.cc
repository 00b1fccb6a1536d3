// How flows and the forward end, and how that and rejected clients are logged. Part of
// udp_forward.h.

#include "udp/udp_forward.h"

namespace spliceport {

namespace {

constexpr int64_t kRejectionLogMicros = 1'000'000;

}  // namespace

void UdpForward::EndFlow(UdpFlow& flow, SessionEnding why) {
  // Replies that wait may point to its route.
  if (reactor_.Datagrams().replies_of == this) SendReplies();
  if (config_.session_log) LogEnd(flow, why);
  GiveBackPlaces(flow.key.client);
  counters_.sessions_closed.Add();
  CloseContainerSide(flow);
  reactor_.epoll.Forget(flow);
  flow.lease.reset();
  reactor_.memory.End();
  reactor_.flow_room.End();
  reactor_.DeleteLater(flows_.Remove(flow));
}

// Removed first: while a forked process has a copy of the socket, it would wake the worker for
// ever.
void UdpForward::CloseContainerSide(UdpFlow& flow) {
  if (!flow.fd.valid()) return;
  reactor_.epoll.Remove(flow.fd.get());
  flow.fd.Reset();
}

void UdpForward::LogEnd(const UdpFlow& flow, SessionEnding why) const {
  reactor_.LogEnded(config_.session_log.get(),
                    {.forward_id = config_.id,
                     .protocol = Protocol::kUdp,
                     .ending = why,
                     .client = flow.key.client.Unmapped(),
                     .target = flow.target->address,
                     .bytes_to_container = flow.bytes_to_container,
                     .bytes_to_host = flow.bytes_to_host,
                     .duration_micros = NowMicros() - flow.begun_micros},
                    counters_);
}

// A rejected client keeps sending, and has no flow to remember it. So one rejection is logged per
// second; the counters have them all.
void UdpForward::LogRejection(const Address& client, SessionEnding why, int error, int64_t now) {
  if (!config_.session_log || now < next_rejection_log_micros_) return;
  next_rejection_log_micros_ = now + kRejectionLogMicros;
  reactor_.LogEnded(config_.session_log.get(),
                    {.forward_id = config_.id,
                     .protocol = Protocol::kUdp,
                     .ending = why,
                     .error = error,
                     .client = client.Unmapped(),
                     .target = target_->address},
                    counters_);
}

void UdpForward::StopAccepting(bool /*drain*/) {
  // The host socket is also the way back, so there is nothing to drain: flows have no end to wait
  // for.
  CloseAll();
}

void UdpForward::CloseAll() {
  if (!host_socket_) return;
  while (flows_.oldest() != nullptr)
    EndFlow(*flows_.oldest(), SessionEnding::kRemoved);
  reactor_.timers.Cancel(*this);
  reactor_.flow_room.Remove(*this);
  if (reactor_.Datagrams().replies_of == this) SendReplies();
  if (pause_.armed())
    reactor_.timers.Cancel(pause_);
  else
    reactor_.epoll.Remove(host_socket_->get());
  reactor_.epoll.Forget(*this);
  host_socket_.reset();
}

}  // namespace spliceport
