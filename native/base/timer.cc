#include "base/timer.h"

#include <time.h>

#include <algorithm>

#include "base/check.h"

namespace spliceport {

int64_t NowMicros() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

Timer::~Timer() {
  if (queue_ != nullptr) queue_->Cancel(*this);
}

void TimerQueue::Arm(Timer& timer, int64_t deadline) {
  Cancel(timer);
  timer.queue_ = this;
  timer.deadline_ = deadline;
  heap_.push_back(&timer);
  timer.index_ = heap_.size() - 1;
  SiftUp(timer.index_);
}

void TimerQueue::Cancel(Timer& timer) {
  if (timer.queue_ == nullptr) return;
  Check(timer.queue_ == this, "a timer was cancelled in a queue that it is not in");
  const size_t hole = timer.index_;
  timer.queue_ = nullptr;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  Place(last, hole);
  SiftUp(hole);
  SiftDown(last->index_);
}

void TimerQueue::RunDue() {
  if (heap_.empty()) return;
  const int64_t now = NowMicros();
  while (!heap_.empty() && heap_.front()->deadline_ <= now) {
    Timer* due = heap_.front();
    Cancel(*due);
    due->OnTimer();
  }
}

int TimerQueue::MillisUntilNext() const {
  if (heap_.empty()) return -1;
  const int64_t micros = heap_.front()->deadline_ - NowMicros();
  if (micros <= 0) return 0;
  return static_cast<int>(std::min<int64_t>((micros + 999) / 1'000, 3'600'000));
}

void TimerQueue::Place(Timer* timer, size_t index) {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::SiftUp(size_t index) {
  Timer* timer = heap_[index];
  while (index > 0) {
    const size_t above = (index - 1) / 2;
    if (heap_[above]->deadline_ <= timer->deadline_) break;
    Place(heap_[above], index);
    index = above;
  }
  Place(timer, index);
}

void TimerQueue::SiftDown(size_t index) {
  Timer* timer = heap_[index];
  for (;;) {
    size_t below = 2 * index + 1;
    if (below >= heap_.size()) break;
    if (below + 1 < heap_.size() && heap_[below + 1]->deadline_ < heap_[below]->deadline_) ++below;
    if (timer->deadline_ <= heap_[below]->deadline_) break;
    Place(heap_[below], index);
    index = below;
  }
  Place(timer, index);
}

}  // namespace spliceport
