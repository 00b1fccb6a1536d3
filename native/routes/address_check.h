// address_check.h: which addresses a namespace still has, asked of the kernel once for each.
// Owns:   what it was told; it is made for one look and thrown away, since addresses come and go.
// Thread: the worker's, which ends up in the last namespace that it asked.
// Fails:  never: an address that the kernel says nothing of counts as there, so that no session ends for want of an answer.
#pragma once

#include <vector>

#include "net/address.h"
#include "net/setns.h"
#include "routes/rtnetlink.h"

namespace spliceport {

class AddressCheck {
 public:
  explicit AddressCheck(NetnsCursor& cursor) : cursor_(cursor) {}
  // Whether a socket of `netns` with this address can neither send nor receive any more. The port does not matter.
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
