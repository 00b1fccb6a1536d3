#include "net/host_sockets.h"

#include <fcntl.h>

#include <array>
#include <iterator>
#include <utility>

#include "base/thread.h"

namespace spliceport {

namespace {

// From here on, a second thread is faster.
constexpr size_t kFewestToShare = 64;

Result<HostSocket> Open(const HostSocketRequest& request) {
  auto opened = OpenHostSocket(request.protocol, request.address, request.ipv6_only);
  if (!opened.ok()) return opened.error();
  uint16_t port = request.address.port();
  if (port == 0) {
    auto local = LocalAddress(opened.value().get());
    if (!local.ok()) return local.error();
    port = local.value().port();
  }
  return HostSocket{std::move(opened.value()), request.protocol, port};
}

HostSockets OpenInOrder(std::span<const HostSocketRequest> requests) {
  HostSockets batch;
  batch.sockets.reserve(requests.size());
  for (const HostSocketRequest& request : requests) {
    auto opened = Open(request);
    if (!opened.ok()) {
      batch.failure = opened.error();
      break;
    }
    batch.sockets.push_back(std::move(opened.value()));
  }
  return batch;
}

// Makes room for `count` descriptors after `fd`. The kernel's table doubles whenever it is full,
// and each time a process with threads waits until every CPU has taken note (synchronize_rcu),
// which takes milliseconds. So it grows once, to twice the room: with just enough it was full at
// the next descriptor, and grew again.
void ReserveDescriptors(int fd, size_t count) {
  const UniqueFd highest(fcntl(fd, F_DUPFD_CLOEXEC, fd + 2 * static_cast<int>(count)));
}

}  // namespace

void AppendRequests(HostSocketRequest first, uint32_t count,
                    std::vector<HostSocketRequest>& requests) {
  const uint16_t port = first.address.port();
  for (uint32_t offset = 0; offset < count; ++offset) {
    if (port != 0) first.address.set_port(static_cast<uint16_t>(port + offset));
    requests.push_back(first);
  }
}

HostSockets OpenHostSockets(std::span<const HostSocketRequest> requests) {
  const size_t half = requests.size() < kFewestToShare ? requests.size() : requests.size() / 2;
  ReserveDescriptors(0, requests.size());
  std::array<HostSockets, 2> batches;
  {
    const auto open_rest = [&] { batches[1] = OpenInOrder(requests.subspan(half)); };
    Thread second;
    const bool shared = half < requests.size() && second.Start(open_rest).ok();
    batches[0] = OpenInOrder(requests.first(half));
    if (shared) second.Join();
    if (!shared) open_rest();
  }
  HostSockets all = std::move(batches[0]);
  if (all.failure) return all;
  std::move(batches[1].sockets.begin(), batches[1].sockets.end(), std::back_inserter(all.sockets));
  all.failure = batches[1].failure;
  return all;
}

}  // namespace spliceport
