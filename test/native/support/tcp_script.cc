// A script is a sequence of steps, drawn at random, each of one side. A side waits only for what
// the other does earlier in the sequence, and nobody stops reading for ever, so that no script can
// hang.
//
// What TCP promises about an ending, and so what may be asserted: FIN            All that was
//   written before it arrives, before it. RST            What the other side's kernel had received
//   stays readable (Linux keeps the receive queue); what was
//                  still in the sender's queue is lost. So a side sees some beginning of what the
//                  quitter wrote, and all of it if the quitter waited until everything was
//                  acknowledged.
//   FIN, then RST  Both are seen if the FIN was acknowledged before; else the RST may have come in
//                  its place.
//   close(2)       A FIN, and a RST in answer to whatever comes later.

#include "support/tcp_script.h"

#include <optional>
#include <random>

namespace spliceport {

namespace {

using Kind = Step::Kind;

constexpr std::array kEndNames = {"open", "FIN", "RST", "FIN and RST"};
constexpr std::array kStepNames = {"write", "pause",    "stall", "await", "await end",
                                   "flush", "shutdown", "reset", "close"};

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  size_t Below(size_t bound) { return engine_() % bound; }
  bool Percent(size_t chance) { return Below(100) < chance; }
  size_t WriteSize() {
    const size_t kind = Below(100);
    if (kind < 30) return 1 + Below(100);
    if (kind < 55) return 1 + Below(16 << 10);
    if (kind < 75) return (16 << 10) + Below(48 << 10);
    if (kind < 96) return (64 << 10) + Below(240 << 10);
    return (512 << 10) + Below(1 << 20);
  }

 private:
  std::mt19937_64 engine_;
};

class Author {
 public:
  explicit Author(uint64_t seed) : dice_(seed) { script_.seed = seed; }

  Script Write() {
    for (Part& part : script_.parts) {
      part.bytes_per_read = dice_.Percent(30) ? 100 + dice_.Below(3'000) : 64 << 10;
      part.receive_buffer_bytes = dice_.Percent(40) ? 16'384 << dice_.Below(4) : 0;
    }
    if (dice_.Percent(20))
      script_.parts[1].begins_after_micros = static_cast<int64_t>(dice_.Below(5'000));
    const size_t count = dice_.Below(20);
    const size_t quit_at = dice_.Percent(15) ? 0 : dice_.Below(count + 1);
    const size_t kind = dice_.Below(100);
    for (size_t i = 0; i <= count; ++i) {
      if (i == quit_at && kind >= 35) Quit(dice_.Below(2), kind < 80);
      if (i < count) Add(dice_.Below(2));
    }
    if (kind >= 92) Push(1 - *quitter_, Kind::kReset);
    if (kind < 92) Expect();
    return std::move(script_);
  }

 private:
  void Push(size_t side, Kind kind, size_t amount = 0) {
    script_.parts[side].steps.push_back({kind, amount});
  }

  void Add(size_t side) {
    if (quitter_ == side) return;
    const size_t kind = dice_.Below(100);
    if (kind < 50) return AddWrite(side);
    if (kind < 60) return Push(side, Kind::kPause, dice_.Below(3'000));
    if (kind < 70) return Push(side, Kind::kStall, dice_.Below(20'000));
    if (kind < 82) return Push(side, Kind::kAwait, dice_.Below(written_[1 - side] + 1));
    if (kind < 88) return Push(side, Kind::kFlush);
    if (ended_[side]) return;
    ended_[side] = true;
    Push(side, Kind::kShutdown);
  }

  void AddWrite(size_t side) {
    if (ended_[side]) return;
    const size_t size = dice_.WriteSize();
    written_[side] += size;
    Push(side, Kind::kWrite, size);
    late_write_ = quitter_.has_value();
  }

  void Quit(size_t side, bool by_reset) {
    quitter_ = side;
    by_reset_ = by_reset;
    if (!by_reset) Push(side, Kind::kAwait, written_[1 - side]);
    flushed_ = !by_reset || dice_.Percent(60);
    if (flushed_) Push(side, Kind::kFlush);
    if (by_reset && dice_.Percent(30)) Push(side, Kind::kPause, dice_.Below(5'000));
    Push(side, by_reset ? Kind::kReset : Kind::kClose);
    // What the other side writes from here on comes surely after the FIN.
    waits_for_end_ = !by_reset && !ended_[side] && dice_.Percent(50);
    if (waits_for_end_) Push(1 - side, Kind::kAwaitEnd);
  }

  void Expect() {
    for (size_t side = 0; side < 2; ++side) {
      if (quitter_ == side) continue;
      Part& part = script_.parts[side];
      const size_t other = 1 - side;
      if (!quitter_) part.endings = {ended_[other] ? End::kFin : End::kOpen};
      if (quitter_) part.endings = by_reset_ ? EndingsOfReset(side) : EndingsOfClose(side);
      if (!quitter_ || flushed_) part.least_bytes = written_[other];
    }
  }

  // Who has ended himself cannot tell a RST after the FIN from the regular end of the connection.
  std::vector<End> EndingsOfReset(size_t side) {
    if (!ended_[1 - side]) return {End::kReset};
    std::vector<End> endings = {End::kFinThenReset};
    if (ended_[side]) endings.push_back(End::kFin);
    if (!flushed_) endings.push_back(End::kReset);
    return endings;
  }

  std::vector<End> EndingsOfClose(size_t side) {
    if (!late_write_) return {End::kFin};
    if (!waits_for_end_) return {End::kFin, End::kReset, End::kFinThenReset};
    if (ended_[side]) return {End::kFin, End::kFinThenReset};
    return {End::kFinThenReset};
  }

  Dice dice_;
  Script script_;
  std::array<size_t, 2> written_{};
  std::array<bool, 2> ended_{};
  std::optional<size_t> quitter_;
  bool by_reset_ = false;
  bool flushed_ = false;
  bool late_write_ = false;
  bool waits_for_end_ = false;
};

std::string RandomText() {
  std::mt19937_64 engine(1);
  std::string text(1'000'003, '\0');
  for (char& byte : text)
    byte = static_cast<char>(engine());
  return text;
}

}  // namespace

const char* NameOf(End end) { return kEndNames.at(static_cast<size_t>(end)); }

Script Script::Random(uint64_t seed) { return Author(seed).Write(); }

std::string Script::Text() const {
  std::string text = "script " + std::to_string(seed) + "\n";
  for (size_t side = 0; side < 2; ++side) {
    const Part& part = parts[side];
    text += side == 0 ? "  client:" : "  server:";
    text += " (reads " + std::to_string(part.bytes_per_read) + ", buffer " +
            std::to_string(part.receive_buffer_bytes) + ", after " +
            std::to_string(part.begins_after_micros) + " us)";
    for (const Step& step : part.steps) {
      text += std::string(" ") + kStepNames.at(static_cast<size_t>(step.kind));
      if (step.amount != 0) text += " " + std::to_string(step.amount);
      text += ";";
    }
    text += "\n";
  }
  return text;
}

std::string_view StreamBytes(uint64_t seed, size_t side, size_t offset, size_t max) {
  static const std::string kText = RandomText();
  const size_t start = (seed * 7'919 + side * 500'009 + offset) % kText.size();
  return std::string_view(kText).substr(start, max);
}

}  // namespace spliceport
