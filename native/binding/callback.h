// callback.h: how callbacks of JavaScript may fail.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

namespace spliceport::binding {

// For the outcome of a call from the event loop, where no JavaScript waits for what the callback throws: it becomes an
// uncaughtException. Left pending, it would stop every callback that comes after it.
void AfterCallback(Napi::Env env, napi_status outcome);

}  // namespace spliceport::binding
