#include "relay/flow_room.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "base/descriptor_budget.h"

namespace spliceport {

// All workers of the process that may have flows. The lock is taken when a worker starts or stops,
// and when a flow begins for which there is no room.
class FlowRooms {
 public:
  static FlowRooms& OfProcess() {
    // Never destroyed: workers may run while the process exits. There is one list for a process.
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
    static FlowRooms& rooms = *new FlowRooms;
    return rooms;
  }

  void Add(FlowRoom& room) {
    const std::lock_guard lock(mutex_);
    rooms_.push_back(&room);
  }
  void Remove(FlowRoom& room) {
    const std::lock_guard lock(mutex_);
    std::erase(rooms_, &room);
  }
  // Whether `asking` has most flows itself. If not, the worker that does ends one.
  bool IsHeaviest(const FlowRoom& asking) {
    const std::lock_guard lock(mutex_);
    const auto heaviest = std::ranges::max_element(rooms_, {}, FlowsOf);
    if (heaviest == rooms_.end() || FlowsOf(*heaviest) <= FlowsOf(&asking)) return true;
    (*heaviest)->evict_soon_();
    return false;
  }

  std::atomic<int64_t> flows{0};

 private:
  static int64_t FlowsOf(const FlowRoom* room) {
    return room->flows_.load(std::memory_order_relaxed);
  }

  std::mutex mutex_;
  std::vector<FlowRoom*> rooms_;
};

void FlowRoom::Join(std::function<void()> evict_soon) {
  evict_soon_ = std::move(evict_soon);
  FlowRooms::OfProcess().Add(*this);
}

void FlowRoom::Leave() { FlowRooms::OfProcess().Remove(*this); }

void FlowRoom::Begin() {
  flows_.fetch_add(1, std::memory_order_relaxed);
  FlowRooms::OfProcess().flows.fetch_add(1, std::memory_order_relaxed);
}

void FlowRoom::End() {
  flows_.fetch_sub(1, std::memory_order_relaxed);
  FlowRooms::OfProcess().flows.fetch_sub(1, std::memory_order_relaxed);
}

void FlowRoom::MakeRoom() {
  FlowRooms& rooms = FlowRooms::OfProcess();
  if (rooms.flows.load(std::memory_order_relaxed) < DescriptorBudget::OfProcess().MaxFlows())
    return;
  if (rooms.IsHeaviest(*this)) (void)EvictOldestHere();
}

bool FlowRoom::EvictOldest() {
  if (EvictOldestHere()) return true;
  (void)FlowRooms::OfProcess().IsHeaviest(*this);
  return false;
}

bool FlowRoom::EvictOldestHere() {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  const auto by_use = [](const EvictableFlows* forward) { return forward->OldestUseMicros(); };
  const auto oldest = std::ranges::min_element(forwards_, {}, by_use);
  if (oldest == forwards_.end() || by_use(*oldest) == kNone) return false;
  (*oldest)->EvictOldest();
  return true;
}

}  // namespace spliceport
