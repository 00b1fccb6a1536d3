#include "docker/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace spliceport::docker {

namespace {

constexpr int kMaxPort = 65'535;

bool IsTrue(std::string_view text) {
  constexpr std::array kWords{"1", "t", "T", "true", "TRUE", "True"};
  return std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

bool IsFalse(std::string_view text) {
  constexpr std::array kWords{"0", "f", "F", "false", "FALSE", "False"};
  return std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

struct Flag {
  std::string_view name;
  bool is_switch;
  // False if the value makes no sense.
  bool (*take)(Arguments& arguments, std::string_view value);
};

template <std::string Arguments::*kField>
bool TakeText(Arguments& arguments, std::string_view value) {
  arguments.*kField = value;
  return true;
}

template <int Arguments::*kField>
bool TakeNumber(Arguments& arguments, std::string_view value) {
  const char* end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, arguments.*kField);
  return read.ec == std::errc() && read.ptr == end;
}

template <bool Arguments::*kField>
bool TakeSwitch(Arguments& arguments, std::string_view value) {
  arguments.*kField = IsTrue(value);
  return arguments.*kField || IsFalse(value);
}

constexpr std::array kFlags{
    Flag{"proto", false, TakeText<&Arguments::protocol>},
    Flag{"host-ip", false, TakeText<&Arguments::host_ip>},
    Flag{"host-port", false, TakeNumber<&Arguments::host_port>},
    Flag{"container-ip", false, TakeText<&Arguments::container_ip>},
    Flag{"container-port", false, TakeNumber<&Arguments::container_port>},
    Flag{"use-listen-fd", true, TakeSwitch<&Arguments::has_listener>},
    Flag{"v", true, TakeSwitch<&Arguments::asks_version>},
    Flag{"version", true, TakeSwitch<&Arguments::asks_version>},
};

// The name of a flag, and what is behind its equals sign.
struct Word {
  std::string_view name;
  std::optional<std::string_view> value;
};

// None if the word is no flag.
std::optional<Word> SplitFlag(std::string_view word) {
  if (word.size() < 2 || word.front() != '-') return std::nullopt;
  word.remove_prefix(word[1] == '-' ? 2 : 1);
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return Word{word, std::nullopt};
  return Word{word.substr(0, equals), word.substr(equals + 1)};
}

std::string Quoted(std::string_view text) {
  std::string quoted("\"");
  return quoted.append(text).append("\"");
}

std::string TakeFlag(const Word& word, std::span<char* const>& rest, Arguments& arguments) {
  const auto* flag = std::find_if(kFlags.begin(), kFlags.end(),
                                  [&](const Flag& known) { return known.name == word.name; });
  const std::string dashed = std::string("-").append(word.name);
  if (flag == kFlags.end()) return "flag provided but not defined: " + dashed;
  std::string_view value = "true";
  if (word.value) {
    value = *word.value;
  } else if (!flag->is_switch) {
    if (rest.empty()) return "flag needs an argument: " + dashed;
    value = rest.front();
    rest = rest.subspan(1);
  }
  if (flag->take(arguments, value)) return "";
  return "invalid value " + Quoted(value) + " for flag " + dashed;
}

// Of the flags -…-ip and -…-port. Returns what is wrong with them.
std::string ReadEndpoint(const std::string& side, const std::string& ip, int port,
                         Address& endpoint) {
  if (port <= 0 || port > kMaxPort)
    return side + "-port must be a port from 1 to 65535, and is " + std::to_string(port);
  const auto parsed = Address::Parse(ip, static_cast<uint16_t>(port));
  if (!parsed) return side + "-ip must be an IP address, and is " + Quoted(ip);
  endpoint = *parsed;
  return "";
}

}  // namespace

ParsedArguments ParseArguments(std::span<char* const> words) {
  ParsedArguments parsed;
  while (!words.empty() && parsed.failure.empty()) {
    const std::string_view text = words.front();
    const auto word = SplitFlag(text);
    // As in Go, flags end here.
    if (!word || text == "--") break;
    words = words.subspan(1);
    parsed.failure = TakeFlag(*word, words, parsed.arguments);
  }
  return parsed;
}

CheckedOrder CheckArguments(const Arguments& arguments) {
  if (arguments.protocol != "tcp" && arguments.protocol != "udp")
    return {std::nullopt, "unsupported protocol " + Quoted(arguments.protocol)};
  Order order;
  order.protocol = arguments.protocol == "tcp" ? Protocol::kTcp : Protocol::kUdp;
  std::string failure = ReadEndpoint("-host", arguments.host_ip, arguments.host_port, order.host);
  if (failure.empty())
    failure =
        ReadEndpoint("-container", arguments.container_ip, arguments.container_port, order.target);
  if (!failure.empty()) return {std::nullopt, failure};
  return {order, ""};
}

bool IsForProxy(std::span<char* const> words) {
  if (words.empty()) return false;
  const std::string_view program = words.front();
  if (program.substr(program.find_last_of('/') + 1) == "docker-proxy") return true;
  return std::any_of(words.begin() + 1, words.end(), [](const char* text) {
    const auto word = SplitFlag(text);
    return word && word->name == "container-ip";
  });
}

}  // namespace spliceport::docker
