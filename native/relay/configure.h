// configure.h: from the settings as users know them to what engines and forwards work with.
// Thread: any.
#pragma once

#include <cstddef>

#include "relay/admission.h"
#include "relay/forward.h"
#include "relay/setting_fields.h"
#include "relay/settings.h"

namespace spliceport {

// `acceptors`: the number of workers that take the new connections of one forward.
Settings SettingsFrom(const EngineFields& fields, size_t acceptors);

// Sets all of `config` that is up to the settings, but for the admission: forwards of one range
// share its rules, which are the result, and each has an Admission of its own. Null: no rules.
AdmissionRulesPtr Configure(ForwardConfig& config, ForwardFields fields);

}  // namespace spliceport
