// How the numbers were chosen
//
//   reserve   Twice 32, or twice a sixth of a limit below 192. The first 32 are for control only:
//             the reload socket, the control socket and its clients, new forwards. The second 32
//             are closed to new clients only: a client that is accepted already gets its connection
//             to the container, and UDP has some flows, however many clients TCP has.
//   flows     Half of what the program and its listeners leave. The other half is for TCP: the
//             source ports of datagrams can be forged at no cost, so there may always be more flows
//             than descriptors.
//   pipes     Half of the memory that the kernel gives to the pipes of one user
//             (fs.pipe-user-pages-soft; all of it if that is no limit). Beyond it every new pipe of
//             that user has a single page, in other programs too. And an eighth of the descriptors:
//             bulk without a pipe is copied, but a client without a descriptor waits.

#include "base/descriptor_budget.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text_file.h"
#include "base/timer.h"
#include "base/unique_fd.h"

namespace spliceport {

namespace {

// A descriptor takes up two.
constexpr int64_t kPipeShare = 16;
constexpr int64_t kDefaultPipePages = 16'384;
// More than any process can open.
constexpr int64_t kNoLimit = int64_t{1} << 30;
constexpr int64_t kFullMicros = 10'000;
// The two of a client, and the sockets for reload and control, which open after the ports.
constexpr int64_t kToServe = 6;
// What engines and control have open besides listeners. The rest are sessions and flows.
constexpr int64_t kMaxOwn = 32;

int64_t LowestFree() {
  const UniqueFd probe(eventfd(0, EFD_CLOEXEC));
  return probe.valid() ? probe.get() : kNoLimit;
}

int64_t ReadPipePages() {
  const std::string setting = ReadFirstLine("/proc/sys/fs/pipe-user-pages-soft");
  const int64_t pages = std::strtoll(setting.c_str(), nullptr, 10);
  return pages > 0 ? pages : 2 * kDefaultPipePages;
}

}  // namespace

DescriptorBudget& DescriptorBudget::OfProcess() {
  static DescriptorBudget budget;
  return budget;
}

void DescriptorBudget::ReadLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const int64_t max =
      limit.rlim_cur < rlim_t{kNoLimit} ? static_cast<int64_t>(limit.rlim_cur) : kNoLimit;
  limit_.store(max, std::memory_order_relaxed);
}

// What the first engine finds open belongs to the embedding program. Later engines would count
// sessions and flows too.
Result<void> DescriptorBudget::Measure() {
  ReadLimit();
  const int64_t lowest_free = LowestFree();
  if (lowest_free == kNoLimit) return LastError("eventfd");
  int64_t nothing = 0;
  open_at_start_.compare_exchange_strong(nothing, lowest_free, std::memory_order_relaxed);
  max_pipe_bytes_.store(ReadPipePages() * sysconf(_SC_PAGESIZE) / 2, std::memory_order_relaxed);
  return {};
}

bool DescriptorBudget::MayAccept() {
  const int64_t full_until = full_until_micros_.load(std::memory_order_relaxed);
  if (full_until == 0) return true;
  const int64_t now = NowMicros();
  if (now < full_until) return false;
  // Another process may have raised it (prlimit(1)).
  ReadLimit();
  const bool is_full = LowestFree() >= MaxForClients();
  full_until_micros_.store(is_full ? now + kFullMicros : 0, std::memory_order_relaxed);
  return !is_full;
}

void DescriptorBudget::NoteAccepted(int fd) {
  if (fd < MaxForClients()) return;
  full_until_micros_.store(NowMicros() + kFullMicros, std::memory_order_relaxed);
}

int64_t DescriptorBudget::MaxFlows() const {
  const int64_t taken =
      open_at_start_.load(std::memory_order_relaxed) + listeners_.load(std::memory_order_relaxed);
  return std::max((MaxForClients() - taken) / 2, Reserve() / 2);
}

BudgetPlace DescriptorBudget::TakeListener() {
  listeners_.fetch_add(1, std::memory_order_relaxed);
  return BudgetPlace(listeners_);
}

int64_t DescriptorBudget::MaxPipes(size_t capacity_bytes) const {
  const int64_t by_memory =
      max_pipe_bytes_.load(std::memory_order_relaxed) / static_cast<int64_t>(capacity_bytes);
  return std::max(std::min(by_memory, Limit() / kPipeShare), int64_t{1});
}

BudgetPlace DescriptorBudget::TakePipe(size_t capacity_bytes) {
  const int64_t max = MaxPipes(capacity_bytes);
  int64_t pipes = pipes_.load(std::memory_order_relaxed);
  do {
    if (pipes >= max) return {};
  } while (!pipes_.compare_exchange_weak(pipes, pipes + 1, std::memory_order_relaxed));
  return BudgetPlace(pipes_);
}

bool DescriptorBudget::IsShortOfPipes(size_t capacity_bytes) const {
  return pipes_.load(std::memory_order_relaxed) > MaxPipes(capacity_bytes) / 2;
}

bool DescriptorBudget::CanServe(size_t more_listeners) const {
  const int64_t listeners =
      listeners_.load(std::memory_order_relaxed) + static_cast<int64_t>(more_listeners);
  const int64_t lasting = open_at_start_.load(std::memory_order_relaxed) + listeners + kMaxOwn;
  return std::min(lasting, LowestFree()) + kToServe <= MaxForClients();
}

}  // namespace spliceport
