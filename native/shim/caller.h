// caller.h: what the caller of this process has given it: descriptors, a configuration on standard
//           input, and outputs that it listens to.
// Owns:   the configuration. The descriptors stay the process's.
// Thread: the main one.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport::shim {

class Caller {
 public:
  // Notes which descriptors are open, so there must be none yet that are this process's own.
  Caller();

  // Whether /proc is there to tell about descriptors and namespaces.
  bool has_proc() const { return has_proc_; }
  const std::vector<int>& inherited() const { return inherited_; }
  bool HasPassed(int fd) const;
  // Reads standard input to its end, waiting for it.
  Result<void> ReadConfiguration();
  // In place of what is read, for a caller that writes nothing to it.
  void Describe(std::string_view configuration);
  const std::vector<char>& configuration() const { return configuration_; }

  // A line that the user is shown.
  static void Tell(std::string_view text);
  // A line for a debug log.
  static void Warn(std::string_view text);
  // Puts /dev/null in place of standard input, output and error, because the caller waits for their
  // end.
  // `error_fd`, if there is one, becomes standard error.
  static void Release(UniqueFd error_fd);
  // Writes `1` and closes the descriptor, also if the caller does not listen any more.
  static void SayReady(int fd);

 private:
  bool has_proc_ = false;
  std::vector<int> inherited_;
  std::vector<char> configuration_;
};

}  // namespace spliceport::shim
