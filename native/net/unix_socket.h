// unix_socket.h: the few Unix-socket calls that Node does not offer: SOCK_SEQPACKET, SOCK_DGRAM,
//                and names in folders whose path is longer than sun_path allows (bound through
//                /proc/self/fd), and descriptors that travel with bytes.
// Thread: any.
// Kernel: unix(7). Descriptors are CLOEXEC and non-blocking.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/socket.h"

namespace spliceport {

enum class UnixType : uint8_t { kStream, kSeqpacket, kDatagram };

// `name` is relative to the folder that `directory_fd` is a descriptor of; a name that begins with
// a NUL byte is abstract, and in no folder.
Result<UniqueFd> ListenUnix(UnixType type, int directory_fd, const std::string& name);
// A datagram socket can only send: it has no name to be answered at.
Result<UniqueFd> ConnectUnix(UnixType type, int directory_fd, const std::string& name);
Io AcceptUnix(int listener, UniqueFd& connection);
// The credentials of the peer as of connect(2), in the caller's user namespace. SO_PEERCRED in
// unix(7).
struct PeerCredentials {
  int pid;
  unsigned uid;
  unsigned gid;
};
Result<PeerCredentials> CredentialsOfPeer(int fd);
// All or nothing. Fails with EAGAIN if the peer does not read.
Result<void> SendWhole(int fd, std::span<const char> bytes);

// The kernel's limit for one call. SCM_RIGHTS in unix(7).
inline constexpr size_t kMaxFdsAtOnce = 253;
// Sends some of the bytes, and with the first of them copies of all descriptors. Returns how many
// bytes were sent; 0: there is no room now, and nothing was sent.
Result<size_t> SendWithFds(int fd, std::span<const char> bytes, std::span<const int> fds);
// Appends the descriptors that come with the bytes. EMFILE if some of them could not be received:
// then the others are closed, and the bytes are lost.
Io ReceiveWithFds(int fd, std::span<char> memory, std::vector<UniqueFd>& fds);

}  // namespace spliceport
