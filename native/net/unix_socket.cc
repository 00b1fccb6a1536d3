#include "net/unix_socket.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

namespace spliceport {

namespace {

constexpr int kBacklog = 128;
constexpr mode_t kOwnerAlone = S_IRUSR | S_IWUSR;

struct Endpoint {
  UniqueFd fd;
  sockaddr_un address{};
};

int KindOf(UnixType type) {
  switch (type) {
    case UnixType::kStream:
      return SOCK_STREAM;
    case UnixType::kSeqpacket:
      return SOCK_SEQPACKET;
    case UnixType::kDatagram:
      return SOCK_DGRAM;
  }
  return -1;
}

Result<Endpoint> Open(UnixType type, int directory_fd, const std::string& name) {
  Endpoint endpoint;
  const std::string path = "/proc/self/fd/" + std::to_string(directory_fd) + "/" + name;
  if (path.size() >= sizeof(endpoint.address.sun_path)) return SysError{-ENAMETOOLONG, "bind"};
  endpoint.address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), endpoint.address.sun_path);
  endpoint.fd.Reset(socket(AF_UNIX, KindOf(type) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!endpoint.fd.valid()) return LastError("socket");
  return endpoint;
}

}  // namespace

Result<UniqueFd> ListenUnix(UnixType type, int directory_fd, const std::string& name) {
  auto opened = Open(type, directory_fd, name);
  if (!opened.ok()) return opened.error();
  auto& [fd, address] = opened.value();
  // Before it has a name, so that it never is open to others, whatever the umask.
  if (fchmod(fd.get(), kOwnerAlone) != 0) return LastError("fchmod");
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return LastError("bind");
  if (listen(fd.get(), kBacklog) != 0) {
    const SysError error = LastError("listen");
    unlink(address.sun_path);
    return error;
  }
  return std::move(fd);
}

Result<UniqueFd> ConnectUnix(UnixType type, int directory_fd, const std::string& name) {
  auto opened = Open(type, directory_fd, name);
  if (!opened.ok()) return opened.error();
  auto& [fd, address] = opened.value();
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return LastError("connect");
  return std::move(fd);
}

Io AcceptUnix(int listener, UniqueFd& connection) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      connection.Reset(fd);
      return {1, 0};
    }
    if (errno != EINTR) return {0, errno};
  }
}

Result<PeerCredentials> CredentialsOfPeer(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return LastError("getsockopt");
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<void> SendWhole(int fd, std::span<const char> bytes) {
  const Io io = Send(fd, bytes);
  if (io.error != 0) return SysError{-io.error, "send"};
  if (io.count < bytes.size()) return SysError{-EAGAIN, "send"};
  return {};
}

}  // namespace spliceport
