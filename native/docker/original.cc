#include "docker/original.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "base/environment.h"
#include "docker/daemon.h"

namespace spliceport::docker {

namespace {

// Set for the program that is executed, in case it is this one under another name.
constexpr const char* kGuard = "SPLICEPORT_DOCKER_PROXY_TRIED";
// Where packages put it: Docker's and those of distributions.
constexpr std::array kFolders{"/usr/bin",
                              "/usr/sbin",
                              "/usr/local/bin",
                              "/usr/libexec/docker",
                              "/usr/lib/docker/bin",
                              "/snap/docker/current/bin"};

std::vector<std::string> Candidates() {
  std::vector<std::string> paths;
  for (const std::string& folder : SearchPath())
    if (folder.starts_with('/')) paths.push_back(folder + "/docker-proxy");
  for (const char* folder : kFolders)
    paths.push_back(std::string(folder) + "/docker-proxy");
  return paths;
}

bool IsAnotherProgram(const std::string& path) {
  struct stat file {};
  struct stat own {};
  if (stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return false;
  if (access(path.c_str(), X_OK) != 0) return false;
  const bool is_own =
      stat("/proc/self/exe", &own) == 0 && own.st_dev == file.st_dev && own.st_ino == file.st_ino;
  return !is_own;
}

}  // namespace

void BecomeOriginal(std::span<char* const> words, const std::string& reason) {
  if (!Variable(kGuard).empty()) return;
  for (const std::string& path : Candidates()) {
    if (!IsAnotherProgram(path)) continue;
    Log(std::string(reason).append("; ").append(path).append(" serves this port"));
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread any more.
    setenv(kGuard, "1", 1);
    std::vector<char*> arguments(words.begin(), words.end());
    arguments.push_back(nullptr);
    execv(path.c_str(), arguments.data());
  }
}

}  // namespace spliceport::docker
