// data_plane.h: the engine of a shim, and the sockets and namespaces that it is given; executes the
//               requests of the resident. Between requests it needs nobody, and all that a later
//               resident has to know is here.
// Owns:   the engine, sockets that wait for their forwards, a descriptor per namespace.
// Thread: the main thread's. What workers report is behind event_fd().
// Fails:  a request stops at its first section that fails; the answer says which and why. A section
//         is done as a whole or not at all. Descriptors that no section takes are closed.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "net/host_sockets.h"
#include "shim/data_plane_host.h"
#include "shim/netns_slots.h"
#include "shim/sections.h"
#include "shim/wire.h"

namespace spliceport::shim {

class DataPlane final : private EngineEvents {
 public:
  explicit DataPlane(DataPlaneHost& host);
  ~DataPlane();
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;

  // `request` is the payload of a frame `r`, `fds` what came with it. Returns the payload of the
  // answer, a frame `k`.
  std::string Execute(std::span<const char> request, std::vector<UniqueFd> fds);

  // A socket that is there already, for who asks to open one like it, as often as he asks.
  void Offer(const HostSocketRequest& like, UniqueFd socket);
  void EndOffer() { offered_.reset(); }

  // The forwards that there are, those that drain among them.
  std::vector<int> Ids() const;
  // What a hello has after "ready".
  void WriteState(Writer& writer);
  // The names of the counters, in the order of a stats record.
  static void WriteCounterNames(Writer& writer);
  // What this process has done by itself, for the next resident, whose own notes say it again.
  void NoteOwn(const std::string& name, const std::string& value) { own_notes_[name] = value; }
  // Leads every forward to another address of the container; empty: to its loopback. False: nothing
  // has changed, because that is not for this process to decide.
  bool MoveAll(const std::string& container_address);
  // Ends all forwards and their sessions. Returns a stats record of all that there has been, and a
  // list of the sessions whose ends nobody has taken.
  std::string LastWords();

  // Readable if one of the next three has something; -1 if there was no descriptor for it.
  // Call TakeGone first: it also makes the descriptor unreadable.
  int event_fd() const { return events_.get(); }
  // The removed forwards whose last session has ended.
  std::vector<int> TakeGone();
  // The forwards that have begun to fail, as a list; empty if there are none.
  std::string TakeFailures();
  // Whether sessions have ended that section `U` takes. Said once until they are taken.
  bool TakeEndedNotice() { return ended_.exchange(false); }

  // Closes the sockets that wait for their forwards.
  void ClosePending() { pending_.clear(); }

  // Ends everything but the offer. Afterwards it is as new. May be called twice.
  void Close();

 private:
  using Fds = std::deque<UniqueFd>;
  using Executor = Outcome (DataPlane::*)(Reader&, Fds&);
  static Executor ExecutorOf(char kind);

  Outcome CreateEngine(Reader& reader, Fds& fds);
  Outcome Open(Reader& reader, Fds& fds);
  Outcome CloseSockets(Reader& reader, Fds& fds);
  Outcome FindNetns(Reader& reader, Fds& fds);
  Outcome ReleaseNetns(Reader& reader, Fds& fds);
  Outcome PrepareTransparent(Reader& reader, Fds& fds);
  Outcome Add(Reader& reader, Fds& fds);
  Outcome Retarget(Reader& reader, Fds& fds);
  Outcome Remove(Reader& reader, Fds& fds);
  Outcome Stats(Reader& reader, Fds& fds);
  Outcome Sessions(Reader& reader, Fds& fds);
  Outcome TakeEnded(Reader& reader, Fds& fds);
  Outcome KeepBlob(Reader& reader, Fds& fds);
  Outcome ListenForReload(Reader& reader, Fds& fds);
  Outcome ListenForControl(Reader& reader, Fds& fds);
  Outcome Ready(Reader& reader, Fds& fds);
  Outcome Reply(Reader& reader, Fds& fds);
  Outcome Warn(Reader& reader, Fds& fds);
  Outcome Fail(Reader& reader, Fds& fds);
  Outcome Keep(Reader& reader, Fds& fds);
  Outcome RunOwn(Reader& reader, Fds& fds);
  Outcome ElectAgain(Reader& reader, Fds& fds);

  HostSockets OpenAll(const std::vector<HostSocketRequest>& requests) const;
  Outcome AddAll(Reader& reader);
  // Appends a forward for each socket of an entry, which it takes out of pending_. False if the
  // entry does not fit what there is.
  bool AppendForwards(const AddEntry& entry, std::vector<ForwardConfig>& configs);
  bool AreNew(const std::vector<ForwardConfig>& configs);
  void OnRemoved(int id) override;
  void OnConnectFailed(int id, const ConnectFailure& failure) override;
  void Wake();

  DataPlaneHost& host_;
  UniqueFd events_;
  std::mutex reports_mutex_;
  std::vector<int> gone_;
  std::map<int, ConnectFailure> failures_;
  std::atomic<bool> ended_{false};
  NetnsSlots netns_;
  std::vector<HostSocket> pending_;
  struct OfferedSocket {
    HostSocketRequest like;
    UniqueFd socket;
  };
  std::optional<OfferedSocket> offered_;
  int next_id_ = 1;
  bool ready_ = false;
  std::string blob_;
  std::map<std::string, std::string> own_notes_;
  SessionLogPtr session_log_;
  // Last: its workers use what is above.
  std::unique_ptr<Engine> engine_;
};

}  // namespace spliceport::shim
