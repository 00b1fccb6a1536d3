// options.h: the command line as `--name value` pairs, each with a default.
// Fails: an unknown or malformed option ends the program; a benchmark must not run with a typo.
#pragma once

#include <map>
#include <set>
#include <string>

namespace spliceport::bench {

class Options {
 public:
  Options(int argc, char** argv);

  std::string Text(const std::string& name, const std::string& fallback);
  int64_t Integer(const std::string& name, int64_t fallback);
  double Number(const std::string& name, double fallback);
  // Call when all options have been read: ends the program when one was given that nobody asked
  // for.
  void RefuseOthers() const;

 private:
  std::map<std::string, std::string> values_;
  std::set<std::string> known_;
};

}  // namespace spliceport::bench
