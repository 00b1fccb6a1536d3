// plain-config.cc: what the shim reads by itself, for a test that compares it with what
// TypeScript reads. Each line of standard input is a configuration, or a request to reload behind
// an "R"; each line of standard output says what it came to.

#include <iostream>
#include <string>

#include "shim/plain_config.h"

namespace spliceport::shim {

namespace {

void Print(const PlainConfig& config) {
  const char* comma = "";
  std::cout << R"({"folder":")" << config.folder << R"(","netnsPath":")" << config.netns_path
            << R"(","containerAddress":")" << config.container_address << R"(","containerId":")"
            << config.container_id << R"(","exitFd":)" << config.exit_fd << R"(,"readyFd":)"
            << config.ready_fd << R"(,"wantsReloadSocket":)"
            << (config.wants_reload_socket ? "true" : "false") << R"(,"ranges":[)";
  for (const PlainRange& range : config.ranges) {
    std::cout << comma << R"({"protocol":")" << (range.protocol == Protocol::kTcp ? "tcp" : "udp")
              << R"(","address":")" << range.host.Text() << R"(","port":)" << range.host.port()
              << R"(,"dualStack":)" << (range.is_dual_stack ? "true" : "false") << R"(,"count":)"
              << range.count << R"(,"target":")" << range.target.Text() << R"(","targetPort":)"
              << range.target.port() << "}";
    comma = ",";
  }
  std::cout << "]}\n";
}

void Answer(std::string_view line) {
  if (line.starts_with('R')) {
    const auto address = ReadPlainReload(line.substr(1));
    std::cout << (address ? "\"" + *address + "\"" : "null") << "\n";
  } else if (const auto config = ReadPlainConfig(line)) {
    Print(*config);
  } else {
    std::cout << "null\n";
  }
}

}  // namespace

}  // namespace spliceport::shim

int main() {
  for (std::string line; std::getline(std::cin, line);)
    spliceport::shim::Answer(line);
  return 0;
}
