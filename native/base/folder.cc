#include "base/folder.h"

#include <dirent.h>
#include <fcntl.h>

#include <memory>

namespace spliceport {

std::vector<std::string> NamesIn(int folder) {
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : fdopendir(copy), &closedir);
  std::vector<std::string> names;
  if (stream == nullptr) return names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this folder's stream
  while (const dirent* entry = readdir(stream.get()))
    names.emplace_back(entry->d_name);
  return names;
}

}  // namespace spliceport
