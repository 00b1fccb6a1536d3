// pipe.h: pipes for splice(2), and the pool of one worker that hands out the last used one first, while it is hot in
//         the processor's cache.
// Owns:   both ends of each pipe. A Pipe is with the direction that has bytes in it, or in the pool.
// Thread: the worker's.
// Kernel: F_SETPIPE_SZ may be refused, and past fs.pipe-user-pages-soft new pipes have one or two pages (pipe(7)), so
//         the capacity is read back and a small pipe counts as none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/descriptor_budget.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  size_t capacity_bytes = 0;
  size_t buffered_bytes = 0;
  // In the budget of the process.
  BudgetPlace place;

  static Result<std::unique_ptr<Pipe>> Create(size_t capacity_bytes);
};

class PipePool {
 public:
  explicit PipePool(size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  // Nothing when no useful pipe is to be had; then no new attempt is made for a while. Nothing either when the process has
  // as many as it may have.
  std::unique_ptr<Pipe> Take();
  // A pipe with bytes left in it, or one too many for this worker or the process, is closed.
  void Give(std::unique_ptr<Pipe> pipe);
  // Pipes are of no use just now: there is none until the next attempt.
  void Pause();

 private:
  std::unique_ptr<Pipe> New() const;

  size_t capacity_bytes_;
  int64_t next_attempt_micros_ = 0;
  std::vector<std::unique_ptr<Pipe>> idle_;
};

}  // namespace spliceport
