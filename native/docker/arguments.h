// arguments.h: the command line that dockerd gives to its userland proxy, in the syntax of Go's
// flag
//              package: -name value, -name=value, and the same with two dashes.
// Thread: any; a value.
// Fails:  with a text that says what is wrong.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/address.h"
#include "net/socket.h"

namespace spliceport::docker {

struct Arguments {
  std::string protocol = "tcp";
  std::string host_ip = "0.0.0.0";
  std::string container_ip;
  int host_port = -1;
  int container_port = -1;
  // The host socket is there already, as descriptor 4.
  bool has_listener = false;
  bool asks_version = false;
};

struct ParsedArguments {
  Arguments arguments;
  // Empty if all is well.
  std::string failure;
};
// Without the name of the program.
ParsedArguments ParseArguments(std::span<char* const> words);

// What is to be forwarded.
struct Order {
  Protocol protocol = Protocol::kTcp;
  Address host;
  Address target;
};
struct CheckedOrder {
  std::optional<Order> order;
  std::string failure;  // If there is none.
};
CheckedOrder CheckArguments(const Arguments& arguments);

// Whether this command line is meant for dockerd's proxy: by the program's name or by its flags.
bool IsForProxy(std::span<char* const> words);

}  // namespace spliceport::docker
