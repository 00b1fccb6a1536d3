// callback.h: what happens when a JavaScript callback throws.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

namespace spliceport::binding {

// For the outcome of a call from the event loop. No JavaScript is there to catch what the callback
// throws, so it becomes an uncaughtException. Left pending, it would stop every later callback.
void AfterCallback(Napi::Env env, napi_status outcome);

}  // namespace spliceport::binding
