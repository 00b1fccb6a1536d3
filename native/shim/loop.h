// loop.h: what the parts of this process wait with: a set of descriptors, and deadlines.
// Owns:   the set. What waits is borrowed, and leaves when it is destroyed.
// Thread: the main one.
#pragma once

#include <functional>
#include <utility>

#include "base/epoll.h"
#include "base/timer.h"

namespace spliceport::shim {

class Loop {
 public:
  explicit Loop(Epoll set) : epoll(std::move(set)) {}
  ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Waits until something is to be done, and has it done.
  void RunOnce();

  Epoll epoll;
  TimerQueue timers;
};

// Calls a function when a descriptor has events. The function may destroy the watch as the last
// thing that it does.
class Watch final : private EventHandler {
 public:
  Watch(Loop& loop, std::function<void(uint32_t)> on_events)
      : loop_(loop), on_events_(std::move(on_events)) {}
  ~Watch() { Stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // The descriptor is borrowed until Stop. May be called again, with other events.
  Result<void> Start(int fd, uint32_t events);
  void Stop();
  bool active() const { return fd_ >= 0; }

 private:
  void OnEvents(uint32_t events) override { on_events_(events); }

  Loop& loop_;
  std::function<void(uint32_t)> on_events_;
  int fd_ = -1;
};

// Calls a function when its time has come. The function may destroy the alarm as the last thing
// that it does.
class Alarm final : private Timer {
 public:
  Alarm(Loop& loop, std::function<void()> on_time) : loop_(loop), on_time_(std::move(on_time)) {}

  void Set(int64_t millis) { loop_.timers.Arm(*this, NowMicros() + millis * 1'000); }
  void Cancel() { loop_.timers.Cancel(*this); }
  bool is_set() const { return armed(); }

 private:
  void OnTimer() override { on_time_(); }

  Loop& loop_;
  std::function<void()> on_time_;
};

}  // namespace spliceport::shim
