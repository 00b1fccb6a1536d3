// low_fds.h: numbers of descriptors that have a meaning for others.
// Thread: the main one, before there are others.
#pragma once

#include <fcntl.h>

namespace spliceport {

// What is opened from now on gets none of the numbers up to `last`: those that are free lead to
// /dev/null.
inline void OccupyFds(int last) {
  for (int fd = 0; fd <= last; ++fd)
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDWR | O_CLOEXEC);
}

}  // namespace spliceport
