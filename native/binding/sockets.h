// sockets.h: the functions of src/engine/binding.ts: host sockets, namespaces, and the few
//            descriptor calls that Node lacks.
// Thread: JavaScript's, which stays in the host's network namespace; that is where the host sockets
//         are made.
#pragma once

#include <napi.h>

namespace spliceport::binding {

void DefineSockets(Napi::Env env, Napi::Object exports);

}  // namespace spliceport::binding
