// splice.h: move bytes socket -> pipe -> socket without copying them through user space.
// Owns:   nothing. Borrows a socket and a Pipe, whose buffered_bytes it keeps right.
// Kernel: splice(2). EAGAIN from FillPipe means "socket empty" or "pipe full"; Pipe::buffered_bytes tells which.
//         Not for datagrams, whose boundaries a pipe does not keep: see udp_batch.h.
#pragma once

#include "net/socket.h"
#include "relay/pipe.h"

namespace spliceport {

Io FillPipe(int socket, Pipe& pipe);
Io EmptyPipe(Pipe& pipe, int socket);
// Copies out all that is in the pipe, which is as much as `bytes` has room for; whether it could.
bool ReadPipe(Pipe& pipe, std::span<char> bytes);

}  // namespace spliceport
