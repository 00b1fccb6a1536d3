#include "sockets.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "convert.h"
#include "link.h"
#include "setns.h"
#include "socket.h"
#include "unique_fd.h"
#include "unix_socket.h"

namespace spliceport::binding {

namespace {

struct HostSocket {
  UniqueFd fd;
  uint16_t port;
};

Result<HostSocket> Open(const Napi::Object& request) {
  const Address address = AddressOf(request);
  auto opened =
      OpenHostSocket(ProtocolAt(request, "protocol"), address, FlagAt(request, "ipv6Only"));
  if (!opened.ok()) return opened.error();
  uint16_t port = address.port();
  if (port == 0) {
    auto local = LocalAddress(opened.value().get());
    if (!local.ok()) return local.error();
    port = local.value().port();
  }
  return HostSocket{std::move(opened.value()), port};
}

// Makes room for `count` descriptors after `fd`. The kernel's table doubles whenever it is full, and each time a process
// with threads waits until every processor has taken note (synchronize_rcu), which is milliseconds: grow it once, with
// as much room again for what comes next. Room for them alone was full at the next descriptor, and grew at once.
void ReserveDescriptors(int fd, uint32_t count) {
  const UniqueFd highest(fcntl(fd, F_DUPFD_CLOEXEC, fd + 2 * static_cast<int>(count)));
}

Napi::Value OpenHostSockets(const Napi::CallbackInfo& info) {
  const auto requests = info[0].As<Napi::Array>();
  std::vector<HostSocket> sockets;
  for (uint32_t i = 0; i < requests.Length(); ++i) {
    auto opened = Open(requests.Get(i).As<Napi::Object>());
    if (!opened.ok()) {
      auto failure = ToFailure(info.Env(), opened.error());
      failure.Set("index", Napi::Number::New(info.Env(), i));
      return failure;
    }
    sockets.push_back(std::move(opened.value()));
    if (i == 0) ReserveDescriptors(sockets[0].fd.get(), requests.Length());
  }
  auto array = Napi::Array::New(info.Env(), sockets.size());
  for (uint32_t i = 0; i < sockets.size(); ++i) {
    auto socket = Napi::Object::New(info.Env());
    socket.Set("fd", Napi::Number::New(info.Env(), sockets[i].fd.Release()));
    socket.Set("port", Napi::Number::New(info.Env(), sockets[i].port));
    array.Set(i, socket);
  }
  return array;
}

Napi::Value Probe(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), ProbeNetns(ToInt(info[0])));
}

Napi::Value InterfaceUp(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), SetInterfaceUp(info[0].As<Napi::String>().Utf8Value()));
}

Napi::Value ReplaceFd(const Napi::CallbackInfo& info) {
  if (dup2(ToInt(info[0]), ToInt(info[1])) >= 0) return info.Env().Undefined();
  return ToFailure(info.Env(), LastError("dup2"));
}

Napi::Value RaiseFileLimit(const Napi::CallbackInfo& info) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ToFailure(info.Env(), LastError("getrlimit"));
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return ToFailure(info.Env(), LastError("setrlimit"));
  return Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_cur));
}

UnixType TypeFrom(const Napi::Value& name) {
  return name.As<Napi::String>().Utf8Value() == "stream" ? UnixType::kStream : UnixType::kSeqpacket;
}

Napi::Value ToFd(Napi::Env env, Result<UniqueFd> opened) {
  if (!opened.ok()) return ToFailure(env, opened.error());
  return Napi::Number::New(env, opened.value().Release());
}

Napi::Value Listen(const Napi::CallbackInfo& info) {
  return ToFd(info.Env(), ListenUnix(TypeFrom(info[0]), ToInt(info[1]),
                                     info[2].As<Napi::String>().Utf8Value()));
}

Napi::Value Connect(const Napi::CallbackInfo& info) {
  return ToFd(info.Env(), ConnectUnix(TypeFrom(info[0]), ToInt(info[1]),
                                      info[2].As<Napi::String>().Utf8Value()));
}

Napi::Value AcceptNext(const Napi::CallbackInfo& info) {
  UniqueFd connection;
  const Io io = AcceptUnix(ToInt(info[0]), connection);
  if (io.would_block()) return info.Env().Undefined();
  if (io.failed()) return ToFailure(info.Env(), {-io.error, "accept4"});
  return Napi::Number::New(info.Env(), connection.Release());
}

Napi::Value PeerOf(const Napi::CallbackInfo& info) {
  auto credentials = CredentialsOfPeer(ToInt(info[0]));
  if (!credentials.ok()) return ToFailure(info.Env(), credentials.error());
  auto peer = Napi::Object::New(info.Env());
  peer.Set("pid", Napi::Number::New(info.Env(), credentials.value().pid));
  peer.Set("uid", Napi::Number::New(info.Env(), credentials.value().uid));
  peer.Set("gid", Napi::Number::New(info.Env(), credentials.value().gid));
  return peer;
}

Napi::Value ReceiveSome(const Napi::CallbackInfo& info) {
  std::vector<char> memory(static_cast<size_t>(ToInt(info[1])));
  const Io io = Receive(ToInt(info[0]), memory);
  if (io.would_block()) return info.Env().Undefined();
  if (io.failed()) return ToFailure(info.Env(), {-io.error, "recv"});
  return Napi::Buffer<char>::Copy(info.Env(), memory.data(), io.count);
}

Napi::Value SendAll(const Napi::CallbackInfo& info) {
  const auto bytes = info[1].As<Napi::Uint8Array>();
  return ToOutcome(
      info.Env(),
      SendWhole(ToInt(info[0]), {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()}));
}

}  // namespace

void DefineSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("openHostSockets", Napi::Function::New<OpenHostSockets>(env));
  exports.Set("probeNetns", Napi::Function::New<Probe>(env));
  exports.Set("setInterfaceUp", Napi::Function::New<InterfaceUp>(env));
  exports.Set("replaceFd", Napi::Function::New<ReplaceFd>(env));
  exports.Set("raiseFileLimit", Napi::Function::New<RaiseFileLimit>(env));
  exports.Set("listenUnix", Napi::Function::New<Listen>(env));
  exports.Set("connectUnix", Napi::Function::New<Connect>(env));
  exports.Set("acceptUnix", Napi::Function::New<AcceptNext>(env));
  exports.Set("peerCredentials", Napi::Function::New<PeerOf>(env));
  exports.Set("receive", Napi::Function::New<ReceiveSome>(env));
  exports.Set("send", Napi::Function::New<SendAll>(env));
}

}  // namespace spliceport::binding
