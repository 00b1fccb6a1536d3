#include "shim/netns_slots.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace spliceport::shim {

namespace {

constexpr const char* kOwnPath = "/proc/self/ns/net";

struct Opened {
  UniqueFd fd;
  dev_t dev = 0;
  ino_t ino = 0;
};

Result<Opened> OpenFile(const char* path) {
  // Without O_NONBLOCK, opening a FIFO would wait for ever.
  Opened opened{UniqueFd(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC))};
  if (!opened.fd.valid()) return LastError("open");
  struct stat status {};
  if (fstat(opened.fd.get(), &status) != 0) return LastError("fstat");
  opened.dev = status.st_dev;
  opened.ino = status.st_ino;
  return opened;
}

}  // namespace

bool IsProcessesOwn(uint64_t device, uint64_t inode) {
  struct stat own {};
  return stat(kOwnPath, &own) != 0 || (own.st_dev == device && own.st_ino == inode);
}

Result<uint32_t> NetnsSlots::Find(const std::string& path) {
  const bool is_own = path.empty();
  auto opened = OpenFile(is_own ? kOwnPath : path.c_str());
  if (!opened.ok()) return opened.error();
  const Opened& file = opened.value();
  uint32_t number = 0;
  for (Slot& slot : slots_) {
    // If only a forward still has it, that may end at any time.
    NetnsPtr netns = slot.in_use.lock();
    if ((slot.is_own || netns) && slot.dev == file.dev && slot.ino == file.ino) {
      slot.released = false;
      slot.netns = std::move(netns);
      return number;
    }
    ++number;
  }
  const auto probed = ProbeNetns(is_own ? -1 : file.fd.get());
  if (!probed.ok()) return probed.error();
  Slot slot{path, file.dev, file.ino, is_own, false, nullptr, {}};
  if (!is_own) {
    auto netns = Netns::From(file.fd.get());
    if (!netns.ok()) return netns.error();
    slot.netns = netns.value();
    slot.in_use = slot.netns;
  }
  auto place = std::find_if_not(slots_.begin(), slots_.end(),
                                [](const Slot& known) { return known.IsThere(); });
  if (place == slots_.end()) place = slots_.emplace(place);
  *place = std::move(slot);
  return static_cast<uint32_t>(place - slots_.begin());
}

bool NetnsSlots::Has(int64_t slot) const {
  if (slot < 0 || static_cast<uint64_t>(slot) >= slots_.size()) return false;
  const Slot& known = slots_[static_cast<size_t>(slot)];
  return known.IsThere() && !known.released;
}

void NetnsSlots::Release(uint32_t slot) {
  slots_[slot].released = true;
  slots_[slot].netns.reset();
}

uint32_t NetnsSlots::SlotOf(const NetnsPtr& netns) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return netns ? slot.in_use.lock() == netns : slot.is_own;
  });
  return static_cast<uint32_t>(found - slots_.begin());
}

bool NetnsSlots::IsElsewhere(const NetnsPtr& netns) const {
  if (!netns) return false;
  const uint32_t slot = SlotOf(netns);
  return slot < slots_.size() && !IsProcessesOwn(slots_[slot].dev, slots_[slot].ino);
}

void NetnsSlots::WriteAll(Writer& writer) const {
  const auto is_there = [](const Slot& slot) { return slot.IsThere(); };
  writer.U32(static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), is_there)));
  uint32_t number = 0;
  for (const Slot& slot : slots_) {
    const uint32_t own = number++;
    if (!slot.IsThere()) continue;
    writer.U32(own);
    writer.Text(slot.path);
    writer.U64(slot.dev);
    writer.U64(slot.ino);
  }
}

}  // namespace spliceport::shim
