// splice.h: moves bytes socket -> pipe -> socket without copying them through user space.
// Owns:   nothing. Borrows a socket and a Pipe, whose buffered_bytes it updates.
// Thread: the worker's.
// Kernel: splice(2). EAGAIN from FillPipe means "socket empty" or "pipe full"; buffered_bytes tells
//         which. Not for datagrams, whose boundaries a pipe does not keep: see udp_batch.h.
#pragma once

#include "net/socket.h"
#include "relay/pipe.h"

namespace spliceport {

Io FillPipe(int socket, Pipe& pipe);
Io EmptyPipe(Pipe& pipe, int socket);
// Copies everything out of the pipe; `bytes` has exactly that size. False if a read fails.
bool ReadPipe(Pipe& pipe, std::span<char> bytes);

}  // namespace spliceport
