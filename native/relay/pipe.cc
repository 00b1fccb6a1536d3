#include "relay/pipe.h"

#include <fcntl.h>

#include <algorithm>

#include "base/timer.h"

namespace spliceport {

namespace {

// Below this splice moves less per call than a copy does.
constexpr size_t kUsefulBytes = 64 << 10;
// Directions give their pipe back whenever it is empty, so few are in use at a time.
constexpr size_t kMaxIdle = 4;
constexpr int64_t kAttemptIntervalMicros = 100'000;

}  // namespace

Result<std::unique_ptr<Pipe>> Pipe::Create(size_t capacity_bytes, BudgetPlace place) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return LastError("pipe2");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  (void)fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(capacity_bytes));
  const int capacity = fcntl(ends[1], F_GETPIPE_SZ);
  if (capacity < 0) return LastError("fcntl");
  return std::unique_ptr<Pipe>(new Pipe(std::move(read_end), std::move(write_end),
                                        static_cast<size_t>(capacity), std::move(place)));
}

std::unique_ptr<Pipe> PipePool::Take() {
  if (!idle_.empty()) {
    auto pipe = std::move(idle_.back());
    idle_.pop_back();
    return pipe;
  }
  if (next_attempt_micros_ != 0 && NowMicros() < next_attempt_micros_) return nullptr;
  BudgetPlace place = DescriptorBudget::OfProcess().TakePipe(capacity_bytes_);
  if (!place.held()) return nullptr;
  auto pipe = New(std::move(place));
  if (!pipe) {
    Pause();
    return nullptr;
  }
  next_attempt_micros_ = 0;
  return pipe;
}

// Null if it would be too small to be useful, or take a descriptor reserved for clients and
// control.
std::unique_ptr<Pipe> PipePool::New(BudgetPlace place) const {
  auto created = Pipe::Create(capacity_bytes_, std::move(place));
  if (!created.ok()) return nullptr;
  std::unique_ptr<Pipe> pipe = std::move(created.value());
  if (pipe->capacity_bytes() < std::min(kUsefulBytes, capacity_bytes_)) return nullptr;
  if (!DescriptorBudget::OfProcess().HasRoomForPipe(pipe->highest_fd())) pipe.reset();
  return pipe;
}

void PipePool::Pause() {
  idle_.clear();
  next_attempt_micros_ = NowMicros() + kAttemptIntervalMicros;
}

void PipePool::Give(std::unique_ptr<Pipe> pipe) {
  if (pipe->buffered_bytes() > 0 || idle_.size() >= kMaxIdle) return;
  // Another worker has better use for it.
  if (DescriptorBudget::OfProcess().IsShortOfPipes(capacity_bytes_)) return;
  idle_.push_back(std::move(pipe));
}

}  // namespace spliceport
