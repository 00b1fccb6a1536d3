#include "shim/signals.h"

#include <sys/signalfd.h>

namespace spliceport::shim {

Signals::Signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  for (size_t i = 0; i < kIgnored.size(); ++i)
    sigaction(kIgnored.at(i), &action, &before_.at(i));
  // If it were ignored, nobody could wait for a child.
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, nullptr);
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_before_);
}

Result<void> Signals::Watch() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&watched, signal);
  fd_.Reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_.valid()) return LastError("signalfd");
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  return {};
}

void Signals::Restore() {
  for (size_t i = 0; i < kIgnored.size(); ++i)
    sigaction(kIgnored.at(i), &before_.at(i), nullptr);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

}  // namespace spliceport::shim
