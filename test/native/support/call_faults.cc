// These definitions stand before the C library's, which they call.

#include "support/call_faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <initializer_list>
#include <random>

namespace spliceport {

namespace {

constexpr uint32_t kOneIn = 8;

std::atomic<bool> active{false};
std::atomic<uint64_t> touched{0};
std::atomic<uint64_t> next_seed{0};

bool IsTouched(uint32_t& dice) {
  if (!active.load(std::memory_order_relaxed) || gettid() == getpid()) return false;
  thread_local std::mt19937 random(static_cast<uint32_t>(next_seed.fetch_add(1)));
  dice = random();
  if (dice % kOneIn != 0) return false;
  dice /= kOneIn;
  touched.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// True, with errno set, if the call is to fail.
bool Fails(std::initializer_list<int> errors) {
  uint32_t dice = 0;
  if (!IsTouched(dice)) return false;
  errno = errors.begin()[dice % errors.size()];
  return true;
}

template <typename Function>
Function* Next(Function* /*type*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

CallFaults::CallFaults(uint64_t seed) {
  next_seed = seed;
  touched = 0;
  active = true;
}

CallFaults::~CallFaults() { active = false; }

uint64_t CallFaults::count() const { return touched; }

}  // namespace spliceport

using spliceport::Fails;
using spliceport::IsTouched;
using spliceport::Next;

extern "C" {

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
               unsigned flags) {
  static auto* const next = Next(&splice, "splice");
  uint32_t dice = 0;
  if (!IsTouched(dice)) return next(from, from_offset, to, to_offset, size, flags);
  if (dice % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  return next(from, from_offset, to, to_offset, 1 + dice % size, flags);
}

ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  static auto* const next = Next(&recv, "recv");
  return Fails({EINTR}) ? -1 : next(fd, bytes, size, flags);
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static auto* const next = Next(&send, "send");
  return Fails({EINTR}) ? -1 : next(fd, bytes, size, flags);
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  static auto* const next = Next(&accept4, "accept4");
  return Fails({EINTR, ECONNABORTED, EMFILE, ENOMEM}) ? -1 : next(fd, address, size, flags);
}

int socket(int domain, int type, int protocol) noexcept {
  static auto* const next = Next(&socket, "socket");
  return Fails({EMFILE, ENFILE, ENOBUFS, ENOMEM}) ? -1 : next(domain, type, protocol);
}

int pipe2(int fds[2], int flags) noexcept {
  static auto* const next = Next(&pipe2, "pipe2");
  return Fails({EMFILE, ENFILE, ENOMEM}) ? -1 : next(fds, flags);
}

}  // extern "C"
