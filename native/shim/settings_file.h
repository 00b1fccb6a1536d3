// settings_file.h: whether the user has a settings file, as src/settings/find.ts looks for one.
// Thread: the main one.
#pragma once

namespace spliceport::shim {

// False also if it cannot be told.
bool IsWithoutSettings();
// Whether it may have settings that keep clients out. True in doubt.
bool SettingsMayHaveGates();

}  // namespace spliceport::shim
