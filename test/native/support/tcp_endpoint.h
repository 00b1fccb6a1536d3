// tcp_endpoint.h: one end of a connection, which plays its part of a script without ever blocking.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "support/tcp_script.h"

namespace spliceport {

class TcpEndpoint {
 public:
  TcpEndpoint(const Script& script, size_t side);
  // `fd` is connected and does not block.
  void Begin(UniqueFd fd, int64_t now);
  bool begun() const { return begun_; }

  // Reads, and goes on with the steps as far as it can; whether anything happened.
  bool Advance(int64_t now);
  // All steps are done, and what the script promises this side has come.
  bool Content() const;
  // "" or what the script's promises do not allow.
  std::string Complaint() const;
  std::string Text() const;
  void Close() { fd_.Reset(); }

 private:
  bool Read(int64_t now);
  void CheckBytes(std::string_view bytes);
  void NoteEnd(int error);
  void LookForReset();
  bool StepOnce(int64_t now);
  bool Write();
  bool IsDead() const;
  bool EndIsAllowed() const;

  const Script& script_;
  const Part& part_;
  const size_t side_;
  UniqueFd fd_;
  bool begun_ = false;
  size_t next_step_ = 0;
  size_t written_ = 0;  // In all.
  size_t written_in_step_ = 0;
  size_t received_ = 0;
  int64_t idle_until_ = 0;
  int64_t deaf_until_ = 0;
  bool has_shut_down_ = false;
  int write_error_ = 0;
  End end_ = End::kOpen;
  std::string fault_;
};

}  // namespace spliceport
