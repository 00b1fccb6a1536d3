#include "options.h"

#include <stdio.h>
#include <stdlib.h>

namespace spliceport::bench {
namespace {

[[noreturn]] void Refuse(const char* why, const std::string& name) {
  fprintf(stderr, "%s: %s\n", name.c_str(), why);
  exit(2);
}

}  // namespace

Options::Options(int argc, char** argv) {
  for (int i = 0; i < argc; i += 2) {
    const std::string name = argv[i];
    if (!name.starts_with("--") || i + 1 == argc) Refuse("expected --name value", name);
    values_[name.substr(2)] = argv[i + 1];
  }
}

std::string Options::Text(const std::string& name, const std::string& fallback) {
  known_.insert(name);
  const auto found = values_.find(name);
  return found == values_.end() ? fallback : found->second;
}

double Options::Number(const std::string& name, double fallback) {
  const std::string text = Text(name, "");
  if (text.empty()) return fallback;
  char* end = nullptr;
  const double value = strtod(text.c_str(), &end);
  if (*end != '\0' || value < 0) Refuse("expected a number that is not negative", "--" + name);
  return value;
}

int64_t Options::Integer(const std::string& name, int64_t fallback) {
  return static_cast<int64_t>(Number(name, static_cast<double>(fallback)));
}

void Options::RefuseOthers() const {
  for (const auto& [name, value] : values_) {
    if (!known_.contains(name)) Refuse("unknown option", "--" + name);
  }
}

}  // namespace spliceport::bench
