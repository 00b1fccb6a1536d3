#include "shim/socket_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace spliceport::shim {

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  Remove();
  folder_ = std::move(other.folder_);
  name_ = std::move(other.name_);
  device_ = other.device_;
  inode_ = other.inode_;
  return *this;
}

void SocketFile::Remove() {
  if (!folder_.valid()) return;
  struct stat file {};
  const bool is_same = fstatat(folder_.get(), name_.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0 &&
                       file.st_dev == device_ && file.st_ino == inode_;
  if (is_same) unlinkat(folder_.get(), name_.c_str(), 0);
  folder_.Reset();
}

}  // namespace spliceport::shim
