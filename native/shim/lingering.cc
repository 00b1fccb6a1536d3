#include "shim/lingering.h"

#include <array>

#include "net/unix_socket.h"

namespace spliceport::shim {

namespace {

constexpr int64_t kLongestMillis = 1'000;
constexpr size_t kMost = 16;
constexpr size_t kRequestBytes = 8'192;

}  // namespace

struct Lingering::Client {
  Client(Loop& loop, UniqueFd connection, const std::function<void()>& end)
      : fd(std::move(connection)), alarm(loop, end), watch(loop, [this, end](uint32_t /*events*/) {
          std::array<char, kRequestBytes> request{};
          Receive(fd.get(), request);
          end();
        }) {}
  UniqueFd fd;
  Alarm alarm;
  Watch watch;
};

Lingering::Lingering(Loop& loop) : loop_(loop) {}

Lingering::~Lingering() = default;

void Lingering::Answer(UniqueFd client, std::string_view answer) {
  if (!SendWhole(client.get(), answer).ok() || clients_.size() >= kMost) return;
  const uint64_t id = next_++;
  auto lingering =
      std::make_unique<Client>(loop_, std::move(client), [this, id] { clients_.erase(id); });
  if (!lingering->watch.Start(lingering->fd.get(), EPOLLIN).ok()) return;
  lingering->alarm.Set(kLongestMillis);
  clients_.emplace(id, std::move(lingering));
}

}  // namespace spliceport::shim
