// squatter.h: a program in a namespace that has no capability there, and takes all it can get of
//             what forwarders claim.
#pragma once

#include <vector>

#include "base/unique_fd.h"

namespace spliceport {

class Squatter {
 public:
  // Keeps all until it goes.
  explicit Squatter(int netns);
  // How many tables it has claimed just as forwarders do.
  int claims() const { return claims_; }

 private:
  void TakeNames();
  void TakeClaims();

  std::vector<UniqueFd> taken_;
  int claims_ = 0;
};

}  // namespace spliceport
