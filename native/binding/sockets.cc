#include "binding/sockets.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/pidfd.h"
#include "base/unique_fd.h"
#include "binding/convert.h"
#include "binding/fd_watcher.h"
#include "net/host_sockets.h"
#include "net/interface_up.h"
#include "net/setns.h"
#include "net/socket.h"
#include "net/unix_socket.h"
#include "routes/transparent.h"

namespace spliceport::binding {

namespace {

// One for each of the `count` ports of an entry.
std::vector<HostSocketRequest> RequestsFrom(const Napi::Array& list) {
  std::vector<HostSocketRequest> requests;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto entry = list.Get(i).As<Napi::Object>();
    HostSocketRequest request{ProtocolAt(entry, "protocol"), AddressOf(entry),
                              FlagAt(entry, "ipv6Only")};
    AppendRequests(request, static_cast<uint32_t>(IntegerAt(entry, "count")), requests);
  }
  return requests;
}

Napi::Value OpenSockets(const Napi::CallbackInfo& info) {
  HostSockets opened = OpenHostSockets(RequestsFrom(info[0].As<Napi::Array>()));
  if (opened.failure) {
    auto failure = ToFailure(info.Env(), *opened.failure);
    failure.Set("index", Napi::Number::New(info.Env(), static_cast<double>(opened.sockets.size())));
    return failure;
  }
  uint32_t index = 0;
  auto fds = Napi::Array::New(info.Env(), opened.sockets.size());
  auto ports = Napi::Array::New(info.Env(), opened.sockets.size());
  for (HostSocket& socket : opened.sockets) {
    fds.Set(index, Napi::Number::New(info.Env(), socket.fd.Release()));
    ports.Set(index++, Napi::Number::New(info.Env(), socket.port));
  }
  auto sockets = Napi::Object::New(info.Env());
  sockets.Set("fds", fds);
  sockets.Set("ports", ports);
  return sockets;
}

Napi::Value Probe(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), ProbeNetns(ToInt(info[0])));
}

Napi::Value Transparency(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), PrepareTransparency(ToInt(info[0])));
}

Napi::Value InterfaceUp(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), SetInterfaceUp(info[0].As<Napi::String>().Utf8Value()));
}

Napi::Value ReplaceFd(const Napi::CallbackInfo& info) {
  if (dup2(ToInt(info[0]), ToInt(info[1])) >= 0) return info.Env().Undefined();
  return ToFailure(info.Env(), LastError("dup2"));
}

Napi::Value RaiseFileLimit(const Napi::CallbackInfo& info) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ToFailure(info.Env(), LastError("getrlimit"));
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return ToFailure(info.Env(), LastError("setrlimit"));
  return Napi::Number::New(info.Env(), static_cast<double>(limit.rlim_cur));
}

UnixType TypeFrom(const Napi::Value& name) {
  const std::string text = name.As<Napi::String>().Utf8Value();
  if (text == "dgram") return UnixType::kDatagram;
  return text == "stream" ? UnixType::kStream : UnixType::kSeqpacket;
}

Napi::Value ToFd(Napi::Env env, Result<UniqueFd> opened) {
  if (!opened.ok()) return ToFailure(env, opened.error());
  return Napi::Number::New(env, opened.value().Release());
}

Napi::Value Describe(const Napi::CallbackInfo& info) {
  auto described = DescribeSocket(ToInt(info[0]));
  if (!described.ok()) return ToFailure(info.Env(), described.error());
  const SocketFacts& facts = described.value();
  const bool is_ip = facts.family == AF_INET || facts.family == AF_INET6;
  auto result = Napi::Object::New(info.Env());
  result.Set("isStream", Napi::Boolean::New(info.Env(), facts.type == SOCK_STREAM));
  result.Set("isDatagram", Napi::Boolean::New(info.Env(), facts.type == SOCK_DGRAM));
  result.Set("isIp", Napi::Boolean::New(info.Env(), is_ip));
  result.Set("isListening", Napi::Boolean::New(info.Env(), facts.is_listening));
  result.Set("isConnected", Napi::Boolean::New(info.Env(), facts.is_connected));
  result.Set("ipv6Only", Napi::Boolean::New(info.Env(), facts.is_ipv6_only));
  result.Set("address", is_ip ? facts.local.Text() : std::string());
  result.Set("port", Napi::Number::New(info.Env(), is_ip ? facts.local.port() : 0));
  return result;
}

Napi::Value Adopt(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  return ToFd(info.Env(),
              AdoptHostSocket(ProtocolAt(request, "protocol"),
                              static_cast<int>(IntegerAt(request, "fd")), FlagAt(request, "v6")));
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

Napi::Value PidfdOf(const Napi::CallbackInfo& info) {
  auto pidfd = OpenPidfd(ToInt(info[0]));
  if (!pidfd.ok()) return ToFailure(info.Env(), pidfd.error());
  return Napi::Number::New(info.Env(), pidfd.value().Release());
}

Napi::Value TakeWatchOf(const Napi::CallbackInfo& info) {
  return ToOutcome(info.Env(), TakeWatch(info.Env(), ToInt(info[0])));
}

Napi::Value ReceiveSome(const Napi::CallbackInfo& info) {
  std::vector<char> memory(static_cast<size_t>(ToInt(info[1])));
  const Io io = Receive(ToInt(info[0]), memory);
  if (io.would_block()) return info.Env().Undefined();
  if (io.failed()) return ToFailure(info.Env(), {-io.error, "recv"});
  return {info.Env(), Napi::Buffer<char>::Copy(info.Env(), memory.data(), io.count)};
}

Napi::Value ReceiveFds(const Napi::CallbackInfo& info) {
  std::vector<char> memory(static_cast<size_t>(ToInt(info[1])));
  std::vector<UniqueFd> received;
  const Io io = ReceiveWithFds(ToInt(info[0]), memory, received);
  if (io.would_block()) return info.Env().Undefined();
  if (io.failed()) return ToFailure(info.Env(), {-io.error, "recvmsg"});
  auto fds = Napi::Array::New(info.Env(), received.size());
  uint32_t index = 0;
  for (UniqueFd& fd : received)
    fds.Set(index++, Napi::Number::New(info.Env(), fd.Release()));
  auto result = Napi::Object::New(info.Env());
  result.Set("data", Napi::Buffer<char>::Copy(info.Env(), memory.data(), io.count));
  result.Set("fds", fds);
  return result;
}

Napi::Value SendFds(const Napi::CallbackInfo& info) {
  const auto bytes = info[1].As<Napi::Uint8Array>();
  auto sent =
      SendWithFds(ToInt(info[0]), {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()},
                  ToInts(info[2]));
  if (!sent.ok()) return ToFailure(info.Env(), sent.error());
  return Napi::Number::New(info.Env(), static_cast<double>(sent.value()));
}

Napi::Value SendAll(const Napi::CallbackInfo& info) {
  const auto bytes = info[1].As<Napi::Uint8Array>();
  return ToOutcome(
      info.Env(),
      SendWhole(ToInt(info[0]), {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()}));
}

}  // namespace

void DefineSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("openHostSockets", Napi::Function::New<OpenSockets>(env));
  exports.Set("probeNetns", Napi::Function::New<Probe>(env));
  exports.Set("prepareTransparency", Napi::Function::New<Transparency>(env));
  exports.Set("setInterfaceUp", Napi::Function::New<InterfaceUp>(env));
  exports.Set("replaceFd", Napi::Function::New<ReplaceFd>(env));
  exports.Set("raiseFileLimit", Napi::Function::New<RaiseFileLimit>(env));
  exports.Set("describeSocket", Napi::Function::New<Describe>(env));
  exports.Set("adoptHostSocket", Napi::Function::New<Adopt>(env));
  exports.Set("listenUnix", Napi::Function::New<Listen>(env));
  exports.Set("connectUnix", Napi::Function::New<Connect>(env));
  exports.Set("acceptUnix", Napi::Function::New<AcceptNext>(env));
  exports.Set("openPidfd", Napi::Function::New<PidfdOf>(env));
  exports.Set("takeWatch", Napi::Function::New<TakeWatchOf>(env));
  exports.Set("peerCredentials", Napi::Function::New<PeerOf>(env));
  exports.Set("receive", Napi::Function::New<ReceiveSome>(env));
  exports.Set("send", Napi::Function::New<SendAll>(env));
  exports.Set("receiveWithFds", Napi::Function::New<ReceiveFds>(env));
  exports.Set("sendWithFds", Napi::Function::New<SendFds>(env));
}

}  // namespace spliceport::binding
