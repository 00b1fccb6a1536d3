#include "routes/client_routes.h"

#include <algorithm>
#include <utility>

namespace spliceport {

namespace {

// A server that acknowledges nothing for this long is given up.
constexpr int64_t kAcknowledgeMicros = 120'000'000;

}  // namespace

void ClientLease::ReleaseSource() { registry_.ReleaseSource(holding_); }

ClientLease::~ClientLease() {
  registry_.Release(holding_);
  if (owner_ != nullptr) owner_->ArmSoon();
}

Result<Address> ClientRoutes::CounterpartOf(const NetnsPtr& netns, const Address& target) {
  // The question alone opens a namespace, which somebody has to close.
  ArmSoon();
  return registry_.CounterpartOf(netns, target);
}

Result<ClientLeasePtr> ClientRoutes::Acquire(const NetnsPtr& netns, Protocol protocol,
                                             const Address& client, const Address& target) {
  auto holding = registry_.Acquire(netns, protocol, client, target);
  if (holding.ok()) return std::make_unique<ClientLease>(registry_, *this, holding.value(), target);
  // A refusal leaves something behind as well, for the next to be refused sooner.
  ArmSoon();
  return holding.error();
}

void ClientRoutes::KeepUntilAcknowledged(UniqueFd socket, ClientLeasePtr lease) {
  const int bytes = UnacknowledgedBytes(socket.get());
  unacknowledged_.push_back({std::move(socket), std::move(lease), bytes, NowMicros()});
  ArmSoon();
}

void ClientRoutes::CloseAcknowledged(int64_t now) {
  std::erase_if(unacknowledged_, [now](Unacknowledged& each) {
    const int bytes = UnacknowledgedBytes(each.socket.get());
    if (bytes != std::exchange(each.bytes, bytes)) each.since = now;
    return bytes == 0 || now - each.since >= kAcknowledgeMicros;
  });
}

void ClientRoutes::ArmSoon() {
  if (!armed()) timers_.Arm(*this, NowMicros() + RouteRegistry::kLingerMicros);
}

void ClientRoutes::OnTimer() {
  const int64_t now = NowMicros();
  CloseAcknowledged(now);
  int64_t next = registry_.Sweep(now);
  if (!unacknowledged_.empty()) next = now + RouteRegistry::kLingerMicros;
  if (next != 0) timers_.Arm(*this, next);
}

}  // namespace spliceport
