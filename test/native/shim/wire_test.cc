#include "shim/wire.h"

#include <string_view>

#include <doctest/doctest.h>

namespace spliceport::shim {

TEST_CASE("what is written is read again") {
  Writer writer;
  writer.U8(0xff);
  writer.U16(0xfffe);
  writer.U32(0xfffffffd);
  writer.U64(0xfffffffffffffffc);
  writer.I32(-5);
  writer.I64(INT64_MIN);
  writer.Bytes(std::string_view("\0\xff", 2));
  writer.Text("");
  writer.Endpoint(*Address::Parse("2001:db8::1", 8080));
  const std::string bytes = writer.Take();
  Reader reader(bytes);
  CHECK(reader.U8() == 0xff);
  CHECK(reader.U16() == 0xfffe);
  CHECK(reader.U32() == 0xfffffffd);
  CHECK(reader.U64() == 0xfffffffffffffffc);
  CHECK(reader.I32() == -5);
  CHECK(reader.I64() == INT64_MIN);
  CHECK(reader.Text() == std::string("\0\xff", 2));
  CHECK(reader.Bytes().empty());
  CHECK(reader.Endpoint() == *Address::Parse("2001:db8::1", 8080));
  CHECK(reader.at_end());
  CHECK(reader.ok());
}

TEST_CASE("integers are in little-endian order, with the length before data") {
  Writer writer;
  writer.U16(0x0102);
  writer.U32(0x03040506);
  writer.Text("ab");
  CHECK(writer.Take() == std::string("\x02\x01\x06\x05\x04\x03\x02\0\0\0ab", 12));
}

TEST_CASE("a reader that runs over its end is bad from then on, and returns nothing") {
  const std::string_view three("\x01\x02\x03", 3);
  Reader reader(three);
  CHECK(reader.U32() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.U8() == 0);
  CHECK(reader.Text().empty());
  CHECK(reader.at_end());
}

TEST_CASE("a length beyond the end is bad, however large") {
  for (const uint32_t size : {3U, 0x7fffffffU, 0xffffffffU}) {
    Writer writer;
    writer.U32(size);
    writer.U16(0);
    const std::string bytes = writer.Take();
    Reader reader(bytes);
    CHECK(reader.Bytes().empty());
    CHECK_FALSE(reader.ok());
  }
}

TEST_CASE("a text that is no address is bad") {
  for (const char* text : {"", "localhost", "1.2.3", "1.2.3.4:80"}) {
    Writer writer;
    writer.Text(text);
    writer.U16(80);
    const std::string bytes = writer.Take();
    Reader reader(bytes);
    (void)reader.Endpoint();
    CHECK_FALSE(reader.ok());
  }
}

}  // namespace spliceport::shim
