#include "shim/hello.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace spliceport::shim {

namespace {

constexpr uint16_t kProtocol = 1;
constexpr uint32_t kReady = 1;
// What settings and the folders of sockets depend on. A name that ends in "_" stands for all that
// begin with it.
constexpr std::array<std::string_view, 5> kVariables{"HOME=", "XDG_", "SPLICEPORT_",
                                                     "TMPDIR=", "CONTAINERS_"};

uint32_t FileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<uint32_t>(std::min<rlim_t>(limit.rlim_cur, UINT32_MAX));
}

void WriteEnvironment(Writer& writer) {
  std::vector<std::string_view> kept;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view variable = *each;
    const auto begins = [&](std::string_view name) { return variable.starts_with(name); };
    if (std::any_of(kVariables.begin(), kVariables.end(), begins) &&
        variable.find('=') != std::string_view::npos)
      kept.push_back(variable);
  }
  writer.U32(static_cast<uint32_t>(kept.size()));
  for (const std::string_view variable : kept) {
    const size_t sign = variable.find('=');
    writer.Text(variable.substr(0, sign));
    writer.Text(variable.substr(sign + 1));
  }
}

}  // namespace

std::string Hello(const Caller& caller, DataPlane& data_plane, bool is_ready, uint64_t age_millis) {
  Writer writer;
  writer.U16(kProtocol);
  writer.Text(SPLICEPORT_VERSION);
  writer.U32(is_ready ? kReady : 0);
  writer.I32(getpid());
  writer.U64(age_millis);
  writer.U32(FileLimit());
  writer.U32(static_cast<uint32_t>(caller.inherited().size()));
  for (const int fd : caller.inherited())
    writer.I32(fd);
  WriteEnvironment(writer);
  std::array<char, PATH_MAX> folder{};
  writer.Text(getcwd(folder.data(), folder.size()) == nullptr ? "" : folder.data());
  DataPlane::WriteCounterNames(writer);
  writer.Bytes(caller.configuration());
  if (is_ready) data_plane.WriteState(writer);
  return writer.Take();
}

}  // namespace spliceport::shim
