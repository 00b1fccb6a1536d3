#include "shim/installation.h"

#include <limits.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/environment.h"
#include "base/text_file.h"

namespace spliceport::shim {

namespace {

std::string FolderOf(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

std::string OwnPath() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length > 0) return {path.data(), static_cast<size_t>(length)};
  // Without /proc: as it was given to execve(2).
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's way to say it
  const auto* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  return name != nullptr && realpath(name, path.data()) != nullptr ? path.data() : "";
}

bool IsProgram(const std::string& path) {
  struct stat file {};
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode) && access(path.c_str(), X_OK) == 0;
}

// Programs are started in another folder.
std::string Absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::array<char, PATH_MAX> folder{};
  return getcwd(folder.data(), folder.size()) == nullptr ? path : folder.data() + ("/" + path);
}

}  // namespace

Installation Installation::Find() {
  std::string folder = FolderOf(OwnPath());
  const std::string lib = FolderOf(folder) + "/lib/";
  return {folder + "/own-process/rootlessport", lib + "resident/main.cjs", lib + "node-path"};
}

std::optional<std::string> Installation::FindNode() const {
  for (const std::string& path : {Variable("SPLICEPORT_NODE"), ReadFirstLine(node_path),
                                  std::string("/usr/local/bin/node"), std::string("/usr/bin/node")})
    if (IsProgram(path)) return Absolute(path);
  for (const std::string& folder : SearchPath()) {
    const std::string path = (folder.empty() ? "." : folder) + "/node";
    if (IsProgram(path)) return Absolute(path);
  }
  return std::nullopt;
}

}  // namespace spliceport::shim
