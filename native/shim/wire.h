// wire.h: the encoding of what a shim and the resident say to each other: integers in little-endian
//         order, and data with its length in front.
// Owns:   a Writer owns what it has written; a Reader only looks at its bytes.
// Thread: any; values.
// Fails:  a Reader that is asked for more than there is, or for an address that is none, turns bad
//         and stays so. What it returns from then on is empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/address.h"

namespace spliceport::shim {

class Writer {
 public:
  void U8(uint8_t value) { Put(value, 1); }
  void U16(uint16_t value) { Put(value, 2); }
  void U32(uint32_t value) { Put(value, 4); }
  void U64(uint64_t value) { Put(value, 8); }
  void I32(int32_t value) { Put(static_cast<uint32_t>(value), 4); }
  void I64(int64_t value) { Put(static_cast<uint64_t>(value), 8); }
  void Bytes(std::span<const char> bytes);
  void Text(std::string_view text) { Bytes(text); }
  void Endpoint(const Address& address);

  size_t size() const { return bytes_.size(); }
  std::string Take() { return std::move(bytes_); }

 private:
  void Put(uint64_t value, int size);
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const char> bytes) : left_(bytes) {}

  uint8_t U8() { return static_cast<uint8_t>(Get(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Get(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Get(4)); }
  uint64_t U64() { return Get(8); }
  int32_t I32() { return static_cast<int32_t>(Get(4)); }
  int64_t I64() { return static_cast<int64_t>(Get(8)); }
  std::span<const char> Bytes();
  std::string Text();
  Address Endpoint();

  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }
  // For a value that is well formed but not one of those that there are.
  void Fail();

 private:
  std::span<const char> Take(size_t size);
  uint64_t Get(size_t size);

  std::span<const char> left_;
  bool ok_ = true;
};

}  // namespace spliceport::shim
