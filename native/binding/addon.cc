// addon.cc: what the addon exports; src/engine/binding.ts is its contract. There is no process-wide
// state: each environment (the main thread, each Worker) gets classes and engines of its own.

#include <napi.h>

#include "binding/engine_wrap.h"
#include "binding/fd_watcher.h"
#include "binding/sockets.h"

namespace spliceport::binding {

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineWrap::Define(env));
  exports.Set("FdWatcher", FdWatcher::Define(env));
  DefineSockets(env, exports);
  return exports;
}

NODE_API_MODULE(spliceport, Init)

}  // namespace spliceport::binding
