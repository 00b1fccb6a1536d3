// What the resident may ask of a shim, whatever it is: each section by itself, frames in any
// pieces, and whole requests to an engine with a few sockets. Sections that open what they name
// (ports, files) are only read.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "expect.h"
#include "shim/channel.h"
#include "shim/data_plane.h"

namespace spliceport::shim {

namespace {

constexpr std::string_view kHarmless = "XVATDSYUBLCRPWFKQG?";
constexpr size_t kMaxSections = 16;
constexpr uint16_t kSockets = 3;

class NoHost final : public DataPlaneHost {
  Result<void> OnReady(int /*exit_fd*/, int /*ready_fd*/, UniqueFd /*error_fd*/) override {
    return {};
  }
  void OnFail(std::string /*text*/) override {}
  void OnWarn(std::string /*text*/) override {}
  void OnReloadListener(ReloadListener listener) override {
    Expect(listener.listener.valid() && listener.folder.valid());
  }
  void OnControlListener(std::optional<ControlListener> listener) override {
    Expect(!listener || (listener->listener.valid() && listener->folder.valid()));
  }
  void OnReply(uint32_t /*client*/, std::string /*bytes*/) override {}
  void OnKeep(bool /*keep*/) override {}
  void OnRunOwn() override {}
  void OnElectAgain() override {}
};

std::span<const char> Take(std::span<const char>& bytes, size_t size) {
  const auto taken = bytes.first(std::min(size, bytes.size()));
  bytes = bytes.subspan(taken.size());
  return taken;
}

size_t TakeNumber(std::span<const char>& bytes) {
  const auto byte = Take(bytes, 1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}

// What is read is what the engine can work with.
void ReadAll(std::span<const char> bytes) {
  Reader engine(bytes);
  if (const auto section = ReadEngine(engine)) {
    Expect(section->fields.workers > 0);
    Expect(section->fields.pipe_capacity_bytes > 0);
  }
  Reader open(bytes);
  if (const auto requests = ReadOpen(open)) Expect(requests->size() <= 1 << 20);
  Reader add(bytes);
  const auto entries = ReadAdd(add);
  for (const AddEntry& entry : entries.value_or(std::vector<AddEntry>())) {
    Expect(entry.count > 0 && entry.first_id >= 0);
    Expect(entry.target.port() + entry.count <= 65'536);
    Expect(entry.fields.max_flows > 0);
  }
  Reader retarget(bytes);
  (void)ReadRetarget(retarget);
  Reader remove(bytes);
  if (const auto section = ReadRemove(remove)) Expect(section->drain_micros >= 0);
}

void ReadFrames(std::span<const char> bytes) {
  int fds[2];
  Expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  const UniqueFd peer(fds[0]);
  Channel channel{UniqueFd(fds[1])};
  size_t taken = 0;
  while (!bytes.empty() && !channel.broken()) {
    const auto piece = Take(bytes, TakeNumber(bytes) + 1);
    if (piece.empty()) break;
    Expect(send(peer.get(), piece.data(), piece.size(), 0) == static_cast<ssize_t>(piece.size()));
    taken += piece.size();
    (void)channel.Fill();
    while (const auto frame = channel.Next()) {
      Expect(frame->payload.size() <= taken);
      Expect(frame->fds.empty());
    }
  }
}

std::string Request(const std::vector<std::pair<char, std::string>>& sections) {
  Writer request;
  request.U32(1);
  for (const auto& [kind, bytes] : sections) {
    request.U8(static_cast<uint8_t>(kind));
    request.Bytes(bytes);
  }
  return request.Take();
}

// A request that is sure to succeed: one worker, the process's own namespace, a few sockets.
std::string Start() {
  Writer engine;
  engine.I32(1);
  engine.I64(0);
  engine.U64(1 << 16);
  engine.U32(0);
  engine.U8(1);
  Writer netns;
  netns.Text("");
  Writer open;
  open.U32(2);
  for (const uint8_t protocol : {uint8_t{0}, uint8_t{1}}) {
    open.U8(protocol);
    open.U8(0);
    open.U16(kSockets);
    open.Endpoint(*Address::Parse("127.0.0.1", 0));
  }
  return Request({{'E', engine.Take()}, {'N', netns.Take()}, {'O', open.Take()}});
}

void ExpectAnswer(const std::string& answer, size_t sections, bool succeeds) {
  Reader reader(answer);
  Expect(reader.U32() == 1);
  const int error = reader.I32();
  Expect(error <= 0 && (!succeeds || error == 0));
  (void)reader.U32();
  (void)reader.U32();
  (void)reader.Text();
  const uint32_t results = reader.U32();
  Expect(error == 0 ? results == sections : results < sections);
  for (uint32_t i = 0; i < results; ++i)
    (void)reader.Bytes();
  Expect(reader.ok() && reader.at_end());
}

void Execute(std::span<const char> bytes) {
  NoHost host;
  DataPlane plane(host);
  ExpectAnswer(plane.Execute(Start(), {}), 3, true);
  std::vector<std::pair<char, std::string>> sections;
  std::vector<UniqueFd> fds;
  for (size_t i = TakeNumber(bytes) % 4; i > 0; --i)
    fds.emplace_back(dup(plane.event_fd()));
  while (!bytes.empty() && sections.size() < kMaxSections) {
    const char kind = kHarmless[TakeNumber(bytes) % kHarmless.size()];
    const auto section = Take(bytes, TakeNumber(bytes));
    sections.emplace_back(kind, std::string(section.begin(), section.end()));
  }
  ExpectAnswer(plane.Execute(Request(sections), std::move(fds)), sections.size(), false);
  Writer state;
  plane.WriteState(state);
}

void Try(std::span<const char> bytes) {
  const size_t what = TakeNumber(bytes) % 3;
  if (what == 0) return ReadAll(bytes);
  if (what == 1) return ReadFrames(bytes);
  const UniqueFd lowest_free(dup(0));
  Execute(bytes);
  const UniqueFd next(dup(0));
  Expect(next.get() == lowest_free.get() + 1);
}

}  // namespace

}  // namespace spliceport::shim

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spliceport::shim::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
