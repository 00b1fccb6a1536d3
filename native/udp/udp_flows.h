// udp_flows.h: the flows of one UDP forward: found by client and by the address that the client
//              sent to, in order of last use.
// Owns:   its flows; each flow owns its connected socket in the container's namespace.
// Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/secret_hash.h"
#include "net/udp_batch.h"
#include "proxy/proxy_protocol.h"
#include "relay/forward_types.h"
#include "relay/reactor.h"
#include "routes/transparent.h"

namespace spliceport {

class UdpForward;

struct FlowKey {
  Address client;
  // The address that the client sent to, or the load balancer that named the client: replies go
  // back the same way.
  Address local;
  bool operator==(const FlowKey&) const = default;
};

struct FlowKeyHash {
  size_t operator()(const FlowKey& key) const {
    SecretHash hash;
    key.client.AddTo(hash);
    key.local.AddTo(hash);
    return hash.Finish();
  }
};

// Which members are valid when:
//
//   being made     key; proxy_header if the forward writes headers. Not in UdpFlows yet. FlowFor
//                  moves it on, or drops it.
//   connected      all; fd is in the epoll set, and connected to `target`. to_container.prefix
//                  points into proxy_header.
//   disconnected   all but fd: a Reconnect failed. The next datagram of the client tries again; the
//                  UDP timeout ends the flow as usual.
//   ended          key only; fd is closed. Freed after the batch (EndFlow). Waiting replies have
//                  been sent before, since they point to to_client.
//
// `target` is an earlier one than the forward's from a retarget to the client's next datagram.
struct UdpFlow final : public Deletable, public EventHandler {
  UdpFlow(UdpForward& owner, const FlowKey& flow_key) : forward(owner), key(flow_key) {}
  void OnEvents(uint32_t events) override;

  UdpForward& forward;
  const FlowKey key;
  UniqueFd fd;
  TargetPtr target;
  // Precedes each datagram to the container; empty if there is none.
  std::string proxy_header;
  // Null unless the server sees the client's own address.
  ClientLeasePtr lease;
  DatagramRoute to_container;
  DatagramRoute to_client;
  // False for a client that named no address or port: Linux would take 0.0.0.0 for this host.
  bool is_answered = true;
  int64_t begun_micros = 0;
  int64_t used_micros = 0;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  uint32_t kernel_drops = 0;
  uint32_t listing = 0;       // The last listing that it is part of.
  uint32_t failed_reads = 0;  // Since either side last sent anything.
  uint32_t lone_answers = 0;  // Reads in a row that brought a single datagram or train.
  // Neighbors in order of last use; only UdpFlows changes them.
  UdpFlow* older = nullptr;
  UdpFlow* newer = nullptr;
};

class UdpFlows {
 public:
  // Null if there is none.
  UdpFlow* Find(const FlowKey& key);
  UdpFlow& Insert(std::unique_ptr<UdpFlow> flow);
  void Touch(UdpFlow& flow, int64_t now);
  std::unique_ptr<UdpFlow> Remove(UdpFlow& flow);
  UdpFlow* oldest() const { return oldest_; }
  size_t size() const { return by_key_.size(); }
  // A flow keeps its bucket as long as the number of buckets does not change.
  size_t buckets() const { return by_key_.bucket_count(); }
  template <typename Visit>
  void VisitBucket(size_t bucket, const Visit& visit) const {
    for (auto flow = by_key_.begin(bucket); flow != by_key_.end(bucket); ++flow)
      visit(*flow->second);
  }

 private:
  void Link(UdpFlow& flow);
  void Unlink(UdpFlow& flow);

  // Flows are on the heap, so pointers to them stay valid until Remove.
  std::unordered_map<FlowKey, std::unique_ptr<UdpFlow>, FlowKeyHash> by_key_;
  UdpFlow* oldest_ = nullptr;
  UdpFlow* newest_ = nullptr;
};

}  // namespace spliceport
