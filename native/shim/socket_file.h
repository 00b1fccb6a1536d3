// socket_file.h: the name of a listening socket in a folder.
// Owns:   a descriptor of the folder, and the name: it is removed at the end, unless another socket
//         has it by then.
// Thread: the main one.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace spliceport::shim {

class SocketFile {
 public:
  SocketFile() = default;
  SocketFile(UniqueFd folder, std::string name, uint64_t device, uint64_t inode)
      : folder_(std::move(folder)), name_(std::move(name)), device_(device), inode_(inode) {}
  ~SocketFile() { Remove(); }
  SocketFile(SocketFile&&) = default;
  SocketFile& operator=(SocketFile&& other) noexcept;
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

  void Remove();

 private:
  UniqueFd folder_;
  std::string name_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace spliceport::shim
