// dockerd starts a process for each port, protocol and address family, one after the other, and
// each `docker run -p` waits for all of them. So a start does only what one port needs, with one
// worker. Only a settings file takes a resident to start.
//
// A dockerd of today makes the container's network namespace before this process, an older one
// after it. So it is looked for again while it is not found; until then, and if it never is,
// connections cross the bridge.
//
// SIGINT is dockerd's word that the port is gone; it waits for the end without a limit. SIGTERM
// comes when dockerd itself has ended (PR_SET_PDEATHSIG), once for each of its threads. Then
// containers may go on without it (live-restore), and a new dockerd will want to bind the port
// again: the host socket is closed, and open sessions go on to their end.

#include "shim/docker_process.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "base/environment.h"
#include "docker/host_side.h"
#include "docker/sandboxes.h"
#include "relay/setting_fields.h"
#include "shim/own_request.h"
#include "shim/settings_file.h"
#include "shim/surroundings.h"

namespace spliceport::shim {

namespace {

constexpr int32_t kForward = 1;
// Longer than any session.
constexpr int64_t kUntilTheLastEndsMillis = int64_t{1} << 39;
// When the container's namespace is looked for again: milliseconds after the time before.
constexpr std::array<int64_t, 6> kLookAgainMillis{20, 100, 400, 1'500, 6'000, 20'000};
// Of the 16 seconds after which dockerd gives up.
constexpr int64_t kResidentMillis = 8'000;

bool MayEnterContainer() { return Variable("SPLICEPORT_DOCKER_TARGET") != "bridge"; }

// Whether it needs no escape in JSON.
bool IsPlain(const std::string& path) { return path.find_first_of("\"\\") == std::string::npos; }

std::string FindPlainSandbox(const Address& address) {
  if (!MayEnterContainer()) return "";
  std::string path = docker::FindSandbox(address);
  return IsPlain(path) ? path : "";
}

}  // namespace

DockerProcess::DockerProcess(Loop& loop, Caller& caller, Signals& signals,
                             const Installation& installation, const Work& work)
    : Process(loop, caller, signals, installation),
      caller_(caller),
      signals_(signals),
      work_(work),
      look_(loop, [this] { LookAgain(); }),
      deadline_(loop, [this] { OnNobody("it has not answered in time"); }) {}

bool DockerProcess::StartAlone() {
  if (!OfferHostSocket()) return true;
  sandbox_ = FindPlainSandbox(work_.order.target);
  Describe();
  if (IsWithoutSettings()) {
    StartPlainly();
    return true;
  }
  deadline_.Set(kResidentMillis);
  return false;
}

bool DockerProcess::OfferHostSocket() {
  const docker::Order& order = work_.order;
  docker::HostSide host = work_.has_listener ? docker::AdoptListener(order, docker::kListenerFd)
                                             : docker::OpenListener(order);
  if (!host.socket.valid()) {
    OnFail(host.failure);
    return false;
  }
  data_plane().Offer({order.protocol, order.host, order.host.is_v6()}, std::move(host.socket));
  return true;
}

void DockerProcess::StartPlainly() {
  if (!Forward()) {
    GiveUp();
    return;
  }
  WatchEngine();
  const std::string fallback = UserFolder("spliceport");
  if (!ListenForControl(data_plane(), FindControlFolder(fallback)))
    docker::Log("there is no control socket of port " + std::to_string(work_.order.host.port()));
}

bool DockerProcess::Forward() {
  uint32_t slot = 0;
  if (!FindSlot(slot)) {
    sandbox_.clear();
    if (!FindSlot(slot)) return false;
  }
  const docker::Order& order = work_.order;
  Writer socket;
  socket.U32(1);
  socket.U8(static_cast<uint8_t>(order.protocol));
  socket.U8(order.host.is_v6() ? 1 : 0);
  socket.U16(1);
  socket.Endpoint(order.host);
  Writer forward;
  forward.U32(1);
  forward.I32(kForward);
  forward.U8(static_cast<uint8_t>(order.protocol));
  forward.U8(static_cast<uint8_t>(ForwardFields().source_address));
  forward.U32(slot);
  forward.U16(1);
  forward.Endpoint(order.target);
  WriteDefaultSettings(forward);
  Writer ready;
  ready.I32(0);
  ready.I32(0);
  ready.U8(0);
  OwnRequest request;
  request.Add('E', DefaultEngine(1));
  request.Add('O', std::move(socket));
  request.Add('A', std::move(forward));
  request.Add('R', std::move(ready));
  const bool forwards = request.ExecuteIn(data_plane()).has_value();
  failure_ = request.failure();
  return forwards;
}

bool DockerProcess::FindSlot(uint32_t& slot) {
  Writer netns;
  netns.Text(sandbox_);
  OwnRequest request;
  request.Add('N', std::move(netns));
  const auto results = request.ExecuteIn(data_plane());
  failure_ = request.failure();
  if (!results) return false;
  slot = Reader(results->front()).U32();
  return true;
}

// As Podman would write it, which the resident reads.
void DockerProcess::Describe() {
  const docker::Order& order = work_.order;
  const std::string protocol = order.protocol == Protocol::kTcp ? "tcp" : "udp";
  std::string json = R"({"Program":"docker-proxy","Mappings":[{"protocol":")" + protocol;
  json += order.host.is_v6() ? '6' : '4';
  json += R"(","host_ip":")" + order.host.Text();
  json += R"(","host_port":)" + std::to_string(order.host.port());
  json += R"(,"container_port":)" + std::to_string(order.target.port());
  json += R"(,"range":1}],"ChildIP":")" + order.target.Text();
  json += R"(","NetNSPath":")" + sandbox_ + R"("})";
  caller_.Describe(json);
}

Result<void> DockerProcess::OnReady(int /*exit_fd*/, int /*ready_fd*/, UniqueFd /*error_fd*/) {
  deadline_.Cancel();
  data_plane().EndOffer();
  if (work_.has_listener) close(docker::kListenerFd);
  work_.daemon.SayReady();
  BecomeReady();
  LookLater();
  return {};
}

void DockerProcess::OnFail(std::string text) {
  if (!goes_on()) return;
  work_.daemon.SayFailure(text);
  End(1);
}

void DockerProcess::OnWarn(std::string text) { docker::Log(text); }

// Only a start with a settings file asks for one.
void DockerProcess::OnNobody(const std::string& reason) {
  deadline_.Cancel();
  Undo();
  if (SettingsMayHaveGates()) {
    OnFail("spliceport cannot read the settings file, which may say who is kept out: " + reason);
    return;
  }
  docker::Log("the settings file does not hold for port " +
              std::to_string(work_.order.host.port()) + ": " + reason);
  StartPlainly();
}

void DockerProcess::LookLater() {
  const bool is_found = !sandbox_.empty() || !MayEnterContainer();
  if (!is_found && looks_ < kLookAgainMillis.size()) look_.Set(kLookAgainMillis.at(looks_++));
}

void DockerProcess::LookAgain() {
  sandbox_ = FindPlainSandbox(work_.order.target);
  uint32_t slot = 0;
  if (sandbox_.empty() || !FindSlot(slot)) {
    LookLater();
    return;
  }
  Writer target;
  target.U32(1);
  target.I32(kForward);
  target.I32(static_cast<int32_t>(slot));
  target.Endpoint(work_.order.target);
  OwnRequest request;
  request.Add('T', std::move(target));
  // If the user has removed it meanwhile, there is nothing to lead anywhere.
  if (!request.ExecuteIn(data_plane())) return;
  Describe();
  IntroduceAgain();
}

void DockerProcess::OnSignal() {
  signalfd_siginfo received{};
  while (goes_on() && read(signals_.fd(), &received, sizeof(received)) > 0) {
    if (received.ssi_signo != SIGTERM || !is_ready())
      End(0);
    else if (!std::exchange(drains_, true))
      Drain();
  }
}

void DockerProcess::Drain() {
  look_.Cancel();
  const std::vector<int> ids = data_plane().Ids();
  Writer removed;
  removed.I64(kUntilTheLastEndsMillis);
  removed.U32(static_cast<uint32_t>(ids.size()));
  for (const int id : ids)
    removed.I32(id);
  OwnRequest request;
  request.Add('D', std::move(removed));
  (void)request.ExecuteIn(data_plane());
  IntroduceAgain();
  OnGone();
}

void DockerProcess::OnGone() {
  if (drains_ && data_plane().Ids().empty()) End(0);
}

}  // namespace spliceport::shim
