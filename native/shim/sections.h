// sections.h: the sections of a request, from bytes to values. What is beyond the known fields of a
//             section is ignored.
// Thread: any; values.
// Fails:  a section that is not well formed, or has a value that the engine cannot work with, is
//         nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/host_sockets.h"
#include "relay/setting_fields.h"
#include "shim/wire.h"

namespace spliceport::shim {

inline constexpr uint32_t kNoIndex = UINT32_MAX;

// What a section has come to: its result, or what failed, and with which of its entries.
struct Outcome {
  std::string result;
  SysError error{0, ""};
  uint32_t index = kNoIndex;

  bool ok() const { return error.code == 0; }
  static Outcome Of(SysError error, size_t index = kNoIndex) {
    return {{}, error, static_cast<uint32_t>(index)};
  }
  // Of a section that makes no sense.
  static Outcome Malformed(size_t index = kNoIndex) { return Of({-EINVAL, "section"}, index); }
};

struct EngineSection {
  EngineFields fields;
  bool tells_of_ends = false;
};
std::optional<EngineSection> ReadEngine(Reader& reader);

std::optional<std::vector<HostSocketRequest>> ReadOpen(Reader& reader);

// `count` forwards with consecutive ids and ports.
struct AddEntry {
  int first_id = 0;
  Protocol protocol = Protocol::kTcp;
  uint32_t slot = 0;
  uint16_t count = 0;
  Address target;  // Of the first.
  ForwardFields fields;
};
std::optional<std::vector<AddEntry>> ReadAdd(Reader& reader);

struct RetargetEntry {
  int id = 0;
  int slot = -1;  // -1: the namespace stays.
  Address address;
};
std::optional<std::vector<RetargetEntry>> ReadRetarget(Reader& reader);

struct RemoveSection {
  int64_t drain_micros = 0;
  std::vector<int> ids;
};
std::optional<RemoveSection> ReadRemove(Reader& reader);

std::optional<std::vector<int>> ReadIds(Reader& reader);

}  // namespace spliceport::shim
