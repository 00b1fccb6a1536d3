// result.h: how native code reports failures: a value, or the system call that failed and why.
//           "Would block" is not a failure: see Io in socket.h.
// Thread: any; a value.
#pragma once

#include <cerrno>
#include <optional>
#include <utility>

#include "base/check.h"

namespace spliceport {

struct SysError {
  int code;             // Negative errno, as libuv and Node have it.
  const char* syscall;  // The bare name, a string literal: "bind".
};

// What the system call that has just failed left in errno.
inline SysError LastError(const char* syscall) { return {-errno, syscall}; }

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that a function may return its value or the error as they are.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : value_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(SysError error) : error_(error) {}

  bool ok() const { return value_.has_value(); }
  SysError error() const { return error_; }
  T& value() {
    Check(ok(), "the value of a failed Result was asked for");
    return *value_;
  }

 private:
  std::optional<T> value_;
  SysError error_{0, ""};
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(SysError error) : error_(error) {}

  bool ok() const { return error_.code == 0; }
  SysError error() const { return error_; }
  // For a failure that changes nothing for the caller.
  void Ignore() const {}

 private:
  SysError error_{0, ""};
};

}  // namespace spliceport
