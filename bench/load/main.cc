// The load generator of the benchmark: one server, and one client for each kind of work.
// Usage: load MODE [--name value]...; bench/README.md has the list.

#include <signal.h>
#include <stdio.h>

#include <string>

#include "modes.h"
#include "socket.h"

namespace {

using spliceport::bench::Options;

struct Mode {
  const char* name;
  int (*run)(Options& options);
};

constexpr Mode kModes[] = {
    {"serve", spliceport::bench::Serve},
    {"bulk", spliceport::bench::Bulk},
    {"rr", spliceport::bench::RequestResponse},
    {"crr", spliceport::bench::ConnectRequestResponse},
    {"idle", spliceport::bench::HoldIdle},
    {"udp-send", spliceport::bench::SendUdp},
    {"udp-rr", spliceport::bench::UdpRequestResponse},
    {"reload", spliceport::bench::Reload},
    {"busy", spliceport::bench::BeBusy},
    {"launch", spliceport::bench::Launch},
    {"echo", spliceport::bench::Echo},
};

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  spliceport::bench::RaiseFileLimit();
  const std::string wanted = argc > 1 ? argv[1] : "";
  for (const Mode& mode : kModes) {
    if (wanted != mode.name) continue;
    Options options(argc - 2, argv + 2);
    return mode.run(options);
  }
  fprintf(stderr, "usage: load MODE [--name value]...\n");
  return 2;
}
