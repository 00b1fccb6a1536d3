#include "relay/splice.h"

#include <fcntl.h>
#include <unistd.h>

namespace spliceport {

namespace {

Io Splice(int from, int to, size_t count) {
  for (;;) {
    const ssize_t moved =
        splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved >= 0) return {static_cast<size_t>(moved), 0};
    if (errno != EINTR) return {0, errno};
  }
}

}  // namespace

Io FillPipe(int socket, Pipe& pipe) {
  const Io io = Splice(socket, pipe.write_end_.get(), pipe.capacity_bytes_);
  pipe.buffered_bytes_ += io.count;
  return io;
}

Io EmptyPipe(Pipe& pipe, int socket) {
  const Io io = Splice(pipe.read_end_.get(), socket, pipe.buffered_bytes_);
  pipe.buffered_bytes_ -= io.count;
  return io;
}

bool ReadPipe(Pipe& pipe, std::span<char> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = read(pipe.read_end_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
    pipe.buffered_bytes_ -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace spliceport
