// flow_room.h: room for one more UDP flow, over all workers of the process: where there are as many flows as there may be,
//              the one that was used least recently ends. It is of the worker that has most.
// Owns:   the number of this worker's flows.
// Thread: the worker's. Another's Make may call what Join was given, from its own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace spliceport {

// A forward with flows, in the order of their last use.
class EvictableFlows {
 public:
  // INT64_MAX when there is no flow.
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
  // Until Leave, `evict_soon` may be called on any thread. It has the worker call EvictHere.
  void Join(std::function<void()> evict_soon);
  void Leave();

  void Add(EvictableFlows& forward) { forwards_.push_back(&forward); }
  void Remove(EvictableFlows& forward) { std::erase(forwards_, &forward); }
  // A flow of a forward's has begun, or ended.
  void Begin();
  void End();
  // Before a flow begins. Where another worker has most flows, one of those ends soon.
  void Make();
  // Ends the flow of all forwards here that was used least recently; false when there is none.
  bool EvictHere();
  // The same; where there is none, another worker's ends soon.
  bool EvictOldest();

 private:
  std::vector<EvictableFlows*> forwards_;
  std::atomic<int64_t> flows_{0};
  std::function<void()> evict_soon_;
  friend class FlowRooms;
};

}  // namespace spliceport
