// text_file.h: small files, such as those of /proc, as texts.
// Thread: any.
#pragma once

#include <string>

namespace spliceport {

// Its first 4 KiB; empty if it cannot be read.
std::string ReadTextFile(const std::string& path);
// The first line, without its end.
std::string ReadFirstLine(const std::string& path);

}  // namespace spliceport
