// How flows end, and what is told of them and of clients that get none. Part of udp_forward.h.

#include "udp/udp_forward.h"

namespace spliceport {

namespace {

constexpr int64_t kRefusalsApartMicros = 1'000'000;

}  // namespace

void UdpForward::EndFlow(UdpFlow& flow, SessionEnding why) {
  // Its route may be named by replies that wait.
  if (reactor_.Datagrams().replies_of == this) SendReplies();
  if (session_log_) Tell(flow, why);
  if (admission_) admission_->Leave();
  counters_.sessions_closed.Add();
  CloseContainerSide(flow);
  reactor_.epoll.Forget(flow);
  flow.lease.reset();
  reactor_.memory.End();
  reactor_.flow_room.End();
  reactor_.Bury(flows_.Remove(flow));
}

// Its readiness would wake the worker without end, while a forked process holds a copy of it.
void UdpForward::CloseContainerSide(UdpFlow& flow) {
  if (!flow.fd.valid()) return;
  reactor_.epoll.Remove(flow.fd.get());
  flow.fd.Reset();
}

void UdpForward::Tell(const UdpFlow& flow, SessionEnding why) const {
  reactor_.Tell(session_log_.get(),
                {.forward_id = id_,
                 .protocol = Protocol::kUdp,
                 .ending = why,
                 .client = flow.key.client.Unmapped(),
                 .target = flow.target->address,
                 .bytes_to_container = flow.bytes_to_container,
                 .bytes_to_host = flow.bytes_to_host,
                 .duration_micros = NowMicros() - flow.begun_micros},
                counters_);
}

// Who is refused sends on, each time for the first time. So one is told of per second, and the counters have the rest.
void UdpForward::TellOfRefusal(const Address& client, SessionEnding why, int error, int64_t now) {
  if (!session_log_ || now < next_refusal_micros_) return;
  next_refusal_micros_ = now + kRefusalsApartMicros;
  reactor_.Tell(session_log_.get(),
                {.forward_id = id_,
                 .protocol = Protocol::kUdp,
                 .ending = why,
                 .error = error,
                 .client = client.Unmapped(),
                 .target = target_->address},
                counters_);
}

}  // namespace spliceport
