#include "net/interface_up.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/unique_fd.h"

namespace spliceport {

Result<void> SetInterfaceUp(const std::string& name) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return LastError("socket");
  ifreq request{};
  std::copy_n(name.data(), std::min<size_t>(name.size(), IFNAMSIZ - 1), request.ifr_name);
  if (ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return LastError("ioctl");
  request.ifr_flags = static_cast<int16_t>(request.ifr_flags | IFF_UP);
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return LastError("ioctl");
  return {};
}

}  // namespace spliceport
