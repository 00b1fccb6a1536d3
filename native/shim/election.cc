#include "shim/election.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <optional>

#include "base/folder.h"
#include "net/unix_socket.h"

namespace spliceport::shim {

namespace {

// Hundreds of containers may start at once, before the resident accepts the first.
constexpr int kBacklog = 4'096;
constexpr time_t kNewSeconds = 5;
constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

std::string LockOf(const std::string& name) { return name + ".lock"; }

std::optional<std::string> NameOfLock(const std::string& file) {
  const std::string ending = LockOf("");
  if (!file.ends_with(ending)) return std::nullopt;
  return file.substr(0, file.size() - ending.size());
}

}  // namespace

Result<Election> Election::Open(const std::string& folder, std::string name) {
  if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) return LastError("mkdir");
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return LastError("open");
  struct stat facts {};
  if (fstat(fd.get(), &facts) != 0) return LastError("fstat");
  if (facts.st_uid != geteuid() || (facts.st_mode & kOthers) != 0) return SysError{-EACCES, "open"};
  return Election(std::move(fd), std::move(name));
}

bool Election::IsNobody(SysError error) {
  return error.code == -ENOENT || error.code == -ECONNREFUSED;
}

Result<Contact> Election::Join() const {
  auto connection = ConnectUnix(UnixType::kStream, folder_.get(), name_);
  if (!connection.ok()) return connection.error();
  // The credentials are those of whoever made the socket.
  auto peer = CredentialsOfPeer(connection.value().get());
  if (!peer.ok()) return peer.error();
  if (peer.value().uid != geteuid()) return SysError{-EACCES, "connect"};
  return Contact{std::move(connection.value()), IsNew()};
}

Result<Contact> Election::JoinOrFound(const Start& start) const {
  auto lock = Lock(name_);
  if (!lock.ok()) return lock.error();
  // Another one may have been founding until now.
  auto contact = Join();
  if (contact.ok() || !IsNobody(contact.error())) return contact;
  const Result<void> founded = Found(start);
  // The process that was started may still have a copy of the descriptor.
  flock(lock.value().get(), LOCK_UN);
  if (!founded.ok()) return founded.error();
  return Join();
}

bool Election::IsNew() const {
  struct stat socket {};
  if (fstatat(folder_.get(), name_.c_str(), &socket, AT_SYMLINK_NOFOLLOW) != 0) return false;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec - socket.st_mtim.tv_sec < kNewSeconds;
}

Result<UniqueFd> Election::Lock(const std::string& name) const {
  const std::string path = LockOf(name);
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd(openat(folder_.get(), path.c_str(), kFlags, S_IRUSR | S_IWUSR));
  if (!fd.valid()) return LastError("open");
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return LastError("flock");
  // It may have been removed with a dead socket, since it was opened.
  struct stat own {};
  struct stat named {};
  if (fstat(fd.get(), &own) != 0) return LastError("fstat");
  if (fstatat(folder_.get(), path.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
      own.st_ino != named.st_ino)
    return SysError{-EAGAIN, "flock"};
  return fd;
}

Result<void> Election::Found(const Start& start) const {
  RemoveDead();
  // Nobody finds the socket before it listens. The name is the lock owner's alone.
  const std::string hidden = name_ + ".new";
  unlinkat(folder_.get(), hidden.c_str(), 0);
  auto listener = ListenUnix(UnixType::kStream, folder_.get(), hidden);
  if (!listener.ok()) return listener.error();
  if (listen(listener.value().get(), kBacklog) != 0) return LastError("listen");
  if (renameat(folder_.get(), hidden.c_str(), folder_.get(), name_.c_str()) != 0)
    return LastError("rename");
  return start(listener.value().get());
}

// Of namespaces that are gone, and were never founded in again.
void Election::RemoveDead() const {
  for (const std::string& file : NamesIn(folder_.get())) {
    const auto name = NameOfLock(file);
    if (name && *name != name_) RemoveIfDead(*name);
  }
}

void Election::RemoveIfDead(const std::string& name) const {
  const auto lock = Lock(name);
  if (!lock.ok() || !IsNobody(ConnectUnix(UnixType::kStream, folder_.get(), name).error())) return;
  unlinkat(folder_.get(), name.c_str(), 0);
  unlinkat(folder_.get(), LockOf(name).c_str(), 0);
}

}  // namespace spliceport::shim
