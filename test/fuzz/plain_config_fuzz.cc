// What callers and clients say, whatever it is: configurations, and requests to reload.

#include <string_view>

#include "expect.h"
#include "shim/plain_config.h"

namespace spliceport::shim {

namespace {

void Try(std::string_view text) {
  if (const auto config = ReadPlainConfig(text)) {
    Expect(!config->ranges.empty() && config->exit_fd > 0 && config->ready_fd > 0);
    Expect(IsPlainPath(config->folder) && IsPlainPath(config->netns_path));
    for (const PlainRange& range : config->ranges) {
      Expect(range.count > 0);
      Expect(range.host.port() > 0 && range.host.port() + range.count <= 65'536);
      Expect(range.target.port() > 0 && range.target.port() + range.count <= 65'536);
    }
  }
  if (const auto address = ReadPlainReload(text))
    Expect(address->empty() || Address::Parse(*address, 0));
}

}  // namespace

}  // namespace spliceport::shim

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spliceport::shim::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
