#include "binding/callback.h"

namespace spliceport::binding {

void AfterCallback(Napi::Env env, napi_status outcome) {
  if (outcome != napi_pending_exception) return;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) != napi_ok) return;
  // Fails if the environment is ending, when it does not matter.
  (void)napi_fatal_exception(env, thrown);
}

}  // namespace spliceport::binding
