// wire.h: the encoding of what a shim and the resident say to each other: integers in little-endian
//         order, and data with its length in front.
// Owns:   a Writer owns what it has written; a Reader only looks at its bytes.
// Thread: any; values.
// Fails:  a Reader that is asked for more than there is, or for an address that is none, turns bad
//         and stays so. What it returns from then on is empty.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "net/address.h"

namespace spliceport::shim {

class Writer {
 public:
  void U8(uint8_t value) { Put<1>(value); }
  void U16(uint16_t value) { Put<2>(value); }
  void U32(uint32_t value) { Put<4>(value); }
  void U64(uint64_t value) { Put<8>(value); }
  void I32(int32_t value) { Put<4>(static_cast<uint32_t>(value)); }
  void I64(int64_t value) { Put<8>(static_cast<uint64_t>(value)); }
  void Bytes(std::span<const char> bytes);
  void Text(std::string_view text) { Bytes(text); }
  void Endpoint(const Address& address);

  // For so many more bytes at once.
  void Reserve(size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
  std::string Take() { return std::move(bytes_); }

 private:
  template <size_t kSize>
  void Put(uint64_t value) {
    std::array<char, kSize> bytes{};
    for (size_t i = 0; i < kSize; ++i)
      bytes[i] = static_cast<char>(value >> (8 * i));
    bytes_.append(bytes.data(), kSize);
  }
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
