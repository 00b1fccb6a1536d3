#include "counters.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base.h"

namespace spliceport::bench {
namespace {

Counters* Map(int fd) {
  void* memory = mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) Die("mmap");
  return static_cast<Counters*>(memory);
}

}  // namespace

Counters* Counters::Create(const std::string& path) {
  UniqueFd fd(Must(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), path.c_str()));
  Must(ftruncate(fd.get(), sizeof(Counters)), "ftruncate");
  return Map(fd.get());
}

Counters* Counters::Open(const std::string& path) {
  UniqueFd fd(Must(open(path.c_str(), O_RDWR | O_CLOEXEC), path.c_str()));
  return Map(fd.get());
}

}  // namespace spliceport::bench
