// plain_config.h: the configurations and requests of container engines that leave nothing to
//                 decide. TypeScript reads them all, and says what is wrong with any; what is
//                 read here means the same there, which a test compares.
// Thread: any; values.
// Fails:  what is not plain, or not even right, is nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "net/socket.h"

namespace spliceport::shim {

// Consecutive ports of one protocol.
struct PlainRange {
  Protocol protocol = Protocol::kTcp;
  Address host;  // Of the first port, like `target`.
  // Both families, of an address that stands for all.
  bool is_dual_stack = false;
  uint16_t count = 0;
  Address target;
};

struct PlainConfig {
  std::vector<PlainRange> ranges;
  std::string netns_path;
  std::string folder;
  // Empty: the container is reached by its loopback.
  std::string container_address;
  std::string container_id;
  int exit_fd = -1;
  int ready_fd = -1;
  bool wants_reload_socket = false;
};

std::optional<PlainConfig> ReadPlainConfig(std::string_view json);
// The container's new address.
std::optional<std::string> ReadPlainReload(std::string_view json);
// Where a port of the host leads, without a port; nothing if the host's interfaces have a say.
std::optional<Address> PlainTarget(const std::string& container_address, const Address& host);
// Whether the path means the same after anybody has tidied it: absolute, nothing in it twice.
bool IsPlainPath(std::string_view path);

}  // namespace spliceport::shim
