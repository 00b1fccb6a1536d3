#include "net/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

namespace spliceport {

namespace {

constexpr int kBacklog = 128;
constexpr mode_t kOwnerAlone = S_IRUSR | S_IWUSR;

struct Endpoint {
  UniqueFd fd;
  sockaddr_un address{};
  // Counts in an abstract name, where every byte is part of the name.
  socklen_t size = sizeof(sockaddr_un);
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
  const bool is_abstract = name.starts_with('\0');
  const std::string path =
      is_abstract ? name : "/proc/self/fd/" + std::to_string(directory_fd) + "/" + name;
  if (path.size() >= sizeof(endpoint.address.sun_path)) return SysError{-ENAMETOOLONG, "bind"};
  endpoint.address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), endpoint.address.sun_path);
  if (is_abstract)
    endpoint.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  endpoint.fd.Reset(socket(AF_UNIX, KindOf(type) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!endpoint.fd.valid()) return LastError("socket");
  return endpoint;
}

// Room for the control message with the descriptors.
struct FdRoom {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFdsAtOnce * sizeof(int))> bytes{};
};

std::vector<UniqueFd> TakeFds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<UniqueFd> ListenUnix(UnixType type, int directory_fd, const std::string& name) {
  auto opened = Open(type, directory_fd, name);
  if (!opened.ok()) return opened.error();
  auto& [fd, address, size] = opened.value();
  // Before it has a name, so that it never is open to others, whatever the umask.
  if (fchmod(fd.get(), kOwnerAlone) != 0) return LastError("fchmod");
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
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
  auto& [fd, address, size] = opened.value();
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
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

Result<size_t> SendWithFds(int fd, std::span<const char> bytes, std::span<const int> fds) {
  if (fds.size() > kMaxFdsAtOnce) return SysError{-EINVAL, "sendmsg"};
  FdRoom room;
  // The kernel's type has no const; sendmsg(2) only reads.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = room.bytes.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  }
  for (;;) {
    const ssize_t count = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
    if (errno != EINTR) return LastError("sendmsg");
  }
}

Io ReceiveWithFds(int fd, std::span<char> memory, std::vector<UniqueFd>& fds) {
  FdRoom room;
  iovec part{memory.data(), memory.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  for (;;) {
    message.msg_control = room.bytes.data();
    message.msg_controllen = room.bytes.size();
    const ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {0, errno};
    std::vector<UniqueFd> received = TakeFds(message);
    // There is room for all, so the process may have no more descriptors.
    if ((message.msg_flags & MSG_CTRUNC) != 0) return {0, EMFILE};
    std::move(received.begin(), received.end(), std::back_inserter(fds));
    return {static_cast<size_t>(count), 0};
  }
}

}  // namespace spliceport
