// pipe.h: a pipe that bulk data is spliced through, and a worker's pool of them.
// Owns:   a Pipe owns both ends and its place in the process's budget; the pool owns idle pipes.
// Thread: the worker's. The budget is shared by all engines of the process.
// Fails:  without a pipe, bulk data is copied (pump.h). Nothing ends because of it.
// Kernel: F_SETPIPE_SZ in fcntl(2) may be refused or rounded, so the capacity is read back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/descriptor_budget.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "net/socket.h"

namespace spliceport {

// Invariant: buffered_bytes() is what is in the pipe, at most capacity_bytes(). Only the functions
// of splice.h move bytes, so only they change it.
class Pipe {
 public:
  // `place` is the pipe's place in the budget, if it counts.
  static Result<std::unique_ptr<Pipe>> Create(size_t capacity_bytes, BudgetPlace place = {});

  size_t capacity_bytes() const { return capacity_bytes_; }
  size_t buffered_bytes() const { return buffered_bytes_; }
  int highest_fd() const { return std::max(read_end_.get(), write_end_.get()); }

 private:
  friend Io FillPipe(int socket, Pipe& pipe);
  friend Io EmptyPipe(Pipe& pipe, int socket);
  friend bool ReadPipe(Pipe& pipe, std::span<char> bytes);

  Pipe(UniqueFd read_end, UniqueFd write_end, size_t capacity_bytes, BudgetPlace place)
      : read_end_(std::move(read_end)),
        write_end_(std::move(write_end)),
        capacity_bytes_(capacity_bytes),
        place_(std::move(place)) {}

  UniqueFd read_end_;
  UniqueFd write_end_;
  const size_t capacity_bytes_;
  size_t buffered_bytes_ = 0;
  BudgetPlace place_;
};

class PipePool {
 public:
  explicit PipePool(size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  // Null if no pipe of useful size can be made, or the process has as many as it may have. After a
  // failure it does not try again for 100 ms.
  std::unique_ptr<Pipe> Take();
  // Takes a pipe back, or closes it: if bytes are left in it, if this worker has enough idle ones,
  // or if the process is short of pipes.
  void Give(std::unique_ptr<Pipe> pipe);
  // Pipes do not work at the moment: closes the idle ones and gives out none for 100 ms.
  void Pause();

 private:
  std::unique_ptr<Pipe> New(BudgetPlace place) const;

  size_t capacity_bytes_;
  int64_t next_attempt_micros_ = 0;          // 0: the last attempt succeeded.
  std::vector<std::unique_ptr<Pipe>> idle_;  // All empty.
};

}  // namespace spliceport
