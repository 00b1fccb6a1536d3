// A busy program: keeps so many processors busy until standard input ends, or its time is over.

#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base.h"
#include "modes.h"
#include "report.h"

namespace spliceport::bench {

int BeBusy(Options& options) {
  const int64_t wanted = options.Integer("threads", 1);
  const double seconds = options.Number("seconds", 1);
  options.RefuseOthers();

  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < wanted; i++) {
    threads.emplace_back([&over] {
      while (!over.load(std::memory_order_relaxed)) {
      }
    });
  }
  Report().Print("begin");
  // Standard input becomes readable at its end.
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  const int ended = poll(&input, 1, static_cast<int>(seconds * 1e3));
  over = true;
  for (std::thread& thread : threads)
    thread.join();

  timespec used = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  Report()
      .Add("cpuSeconds", static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9)
      .Add("tooShort", ended == 0 ? 1 : 0)
      .Print();
  return 0;
}

}  // namespace spliceport::bench
