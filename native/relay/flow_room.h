// flow_room.h: limits the number of UDP flows, over all workers of the process. If there are as
//              many as there may be, the least recently used flow of the worker with most flows
//              ends.
// Owns:   the number of this worker's flows.
// Thread: the worker's. Another worker's MakeRoom may call what Join was given, from its own
//         thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace spliceport {

// A forward with flows, in the order of their last use.
class EvictableFlows {
 public:
  // INT64_MAX if there is no flow.
  virtual int64_t OldestUseMicros() const = 0;
  virtual void EvictOldest() = 0;

 protected:
  ~EvictableFlows() = default;
};

class FlowRoom {
 public:
  FlowRoom() = default;
  ~FlowRoom() { Leave(); }
  FlowRoom(const FlowRoom&) = delete;
  FlowRoom& operator=(const FlowRoom&) = delete;
  // Until Leave, `evict_soon` may be called on any thread. It makes the worker call
  // EvictOldestHere.
  void Join(std::function<void()> evict_soon);
  void Leave();

  void Add(EvictableFlows& forward) { forwards_.push_back(&forward); }
  void Remove(EvictableFlows& forward) { std::erase(forwards_, &forward); }
  // A flow has begun, or ended.
  void Begin();
  void End();
  // Before a flow begins. If another worker has most flows, one of that worker's ends soon.
  void MakeRoom();
  // Ends the least recently used flow of this worker; false if it has none.
  bool EvictOldestHere();
  // The same; if there is none, one of another worker's ends soon.
  bool EvictOldest();

 private:
  std::vector<EvictableFlows*> forwards_;
  std::atomic<int64_t> flows_{0};
  std::function<void()> evict_soon_;
  friend class FlowRooms;
};

}  // namespace spliceport
