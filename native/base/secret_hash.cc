#include "base/secret_hash.h"

#include <sys/random.h>

#include <chrono>

namespace spliceport {

namespace {

SecretHash::Key ReadKey() {
  SecretHash::Key key{};
  // Up to 256 bytes are returned whole and without interruption, getrandom(2).
  if (getrandom(&key, sizeof(key), 0) == sizeof(key)) return key;
  // If the call is forbidden: at least hard to predict.
  key.words[0] = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  return key;
}

}  // namespace

const SecretHash::Key& SecretHash::OfProcess() {
  static const Key key = ReadKey();
  return key;
}

}  // namespace spliceport
