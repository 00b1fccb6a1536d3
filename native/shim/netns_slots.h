// netns_slots.h: the network namespaces that a resident has named, each by a small number.
// Owns:   a descriptor per namespace, until it is released and no forward uses it any more.
// Thread: the main thread's. Probing takes a thread for a moment.
// Fails:  SysError of open, fstat, or of entering the namespace.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/setns.h"
#include "shim/wire.h"

namespace spliceport::shim {

// Whether a namespace is, or may be, the one that this process is in.
bool IsProcessesOwn(uint64_t device, uint64_t inode);

class NetnsSlots {
 public:
  struct Slot {
    std::string path;  // Empty: the process's own.
    dev_t dev = 0;
    ino_t ino = 0;
    bool is_own = false;
    bool released = false;
    // Null if it is the process's own, or released.
    NetnsPtr netns;
    // Forwards may use it longer.
    std::weak_ptr<const Netns> in_use;

    bool IsThere() const { return is_own || netns || !in_use.expired(); }
  };

  // Opens and probes the namespace; empty: the process's own. A namespace that is known already
  // has the slot that it had.
  Result<uint32_t> Find(const std::string& path);
  const Slot& at(uint32_t slot) const { return slots_[slot]; }
  // False if there is no such slot, or it was released.
  bool Has(int64_t slot) const;
  void Release(uint32_t slot);
  // The slot of a namespace that a forward has.
  uint32_t SlotOf(const NetnsPtr& netns) const;
  // Whether a namespace that a forward has is for certain not the process's own.
  bool IsElsewhere(const NetnsPtr& netns) const;
  void WriteAll(Writer& writer) const;
  void Clear() { slots_.clear(); }

 private:
  std::vector<Slot> slots_;
};

}  // namespace spliceport::shim
