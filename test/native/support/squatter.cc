#include "support/squatter.h"

#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

#include <doctest/doctest.h>

#include "net/socket.h"
#include "support/support.h"

namespace spliceport {

namespace {

constexpr uint16_t kTables = 1'024;

// The calling thread's, for good.
void GiveUpCapabilities() {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  REQUIRE(syscall(SYS_capset, &head, none) == 0);
}

}  // namespace

Squatter::Squatter(int netns) {
  InNamespace(netns, [&] {
    GiveUpCapabilities();
    TakeNames();
    TakeClaims();
  });
}

// Abstract ones, which anybody in the namespace may have.
void Squatter::TakeNames() {
  for (uint16_t i = 0; i < kTables; ++i) {
    UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const int length = std::snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
                                     "spliceport/%08x", 0x7370'0000U + i);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
    REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&name), size) == 0);
    taken_.push_back(std::move(fd));
  }
}

// Each is bound in any case, alone and with others of its kind.
void Squatter::TakeClaims() {
  const Address nobody = *Address::Parse("192.0.0.8", 0x7370);
  const int on = 1;
  for (uint16_t i = 0; i < kTables; ++i) {
    auto opened = OpenStreamSocket(false);
    REQUIRE(opened.ok());
    const int fd = opened.value().get();
    REQUIRE(setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
    REQUIRE(bind(fd, nobody.bytes(), nobody.size()) == 0);
    const auto port = static_cast<uint16_t>(1 + i);
    if (StartConnect(fd, *Address::Parse("127.0.0.1", port)).ok()) ++claims_;
    taken_.push_back(std::move(opened.value()));
  }
}

}  // namespace spliceport
