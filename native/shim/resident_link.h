// resident_link.h: this process's connection with the resident, from finding or starting one to the
//                  end of the connection.
// Owns:   the connection.
// Thread: the main one; no call waits.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "shim/caller.h"
#include "shim/channel.h"
#include "shim/election.h"
#include "shim/installation.h"
#include "shim/loop.h"

namespace spliceport::shim {

// How a try or a connection has come to its end.
enum class Loss : uint8_t {
  kNobody,  // There is no resident, and none can be started.
  kSilent,
  kEnded,
};

class ResidentLink {
 public:
  class Owner {
   public:
    // The resident listens.
    virtual void OnAlive() = 0;
    virtual void OnRequest(Frame request) = 0;
    // All that was sent is on its way.
    virtual void OnRoom() = 0;
    // There is no connection any more. Never called by Start, Send or Leave.
    virtual void OnLost(Loss loss, const std::string& reason) = 0;

   protected:
    ~Owner() = default;
  };

  ResidentLink(Loop& loop, const Installation& installation, const Caller& caller, Owner& owner);

  // Connects, unless there is a connection or one under way.
  void Start();
  void Leave();
  bool is_idle() const { return state_ == State::kIdle; }
  bool is_alive() const { return state_ == State::kAlive; }
  // Whether it is there to take something that must not be lost.
  bool may_take() const { return has_room() && !channel_->PeerHasLeft(); }
  // For what need not be sent.
  bool has_room() const { return is_alive() && !channel_->wants_to_write(); }
  void Send(char kind, std::span<const char> payload, std::span<const int> fds = {});
  // Waits until all that was sent is on its way, for so long at most.
  void FlushFor(int millis);
  // Whether a resident may say nothing for as long as it likes.
  void AllowSilence();

 private:
  enum class State : uint8_t { kIdle, kTrying, kConnected, kAlive };

  void OnTime();
  void Try();
  Result<Contact> Elect() const;
  void Use(Contact contact);
  void OnEvents();
  void OnFrame(Frame frame);
  void WatchChannel();
  void Lose(Loss loss, const std::string& reason);

  Owner& owner_;
  const Installation& installation_;
  const Caller& caller_;
  State state_ = State::kIdle;
  bool silence_is_allowed_ = false;
  int64_t patient_until_micros_ = 0;
  std::optional<Channel> channel_;
  Watch watch_;
  bool watches_room_ = false;
  Alarm alarm_;
};

}  // namespace spliceport::shim
