// address_check.h: which addresses a namespace still has. Asks the kernel once for each.
// Owns:   the answers. Made for one look and thrown away, since addresses come and go.
// Thread: the worker's, which is then in the last namespace that was asked.
// Fails:  never. An address that the kernel gives no answer for counts as present, so that no
//         session ends because of a lack of an answer.
#pragma once

#include <vector>

#include "net/address.h"
#include "net/setns.h"
#include "routes/rtnetlink.h"

namespace spliceport {

class AddressCheck {
 public:
  explicit AddressCheck(NetnsCursor& cursor) : cursor_(cursor) {}
  // Whether a socket of `netns` with this address can no longer send or receive. The port is
  // ignored.
  bool IsGone(const NetnsPtr& netns, const Address& address);

 private:
  struct Known {
    NetnsPtr netns;
    Address address;
    bool is_gone;
  };
  bool Ask(const NetnsPtr& netns, const Address& address);

  NetnsCursor& cursor_;
  std::vector<Known> known_;
};

}  // namespace spliceport
