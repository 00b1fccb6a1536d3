// udp_flows.h: the flows of one UDP forward: found by client and by the address the client sent to, ordered by when they
//              were last used.
// Owns:   its flows, and each flow its connected socket in the container's namespace.
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
#include "relay/reactor.h"
#include "relay/target.h"
#include "routes/transparent.h"

namespace spliceport {

class UdpForward;

struct FlowKey {
  Address client;
  // Where the client sent to, or the load balancer that told of it: replies go back the same way.
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

struct UdpFlow final : public Mortal, public EventHandler {
  UdpFlow(UdpForward& owner, const FlowKey& flow_key) : forward(owner), key(flow_key) {}
  void OnEvents(uint32_t events) override;

  UdpForward& forward;
  const FlowKey key;
  UniqueFd fd;
  TargetPtr target;  // What fd is connected to.
  std::string
      introduction;  // The PROXY header ahead of each datagram to the container, if there is one.
  // Null unless the server sees the client's own address.
  ClientLeasePtr lease;
  DatagramRoute to_container;
  DatagramRoute to_client;
  // Not of a client that named no address or port: Linux would take the first for this host.
  bool is_answered = true;
  int64_t begun_micros = 0;
  int64_t used_micros = 0;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  uint32_t kernel_drops = 0;
  uint32_t listing = 0;       // The last listing that it is in.
  uint32_t failed_reads = 0;  // Since either side said anything last.
  uint32_t lone_answers =
      0;  // Reads in a row that have brought a single datagram, or train of them.
  // Neighbors by last use.
  UdpFlow* older = nullptr;
  UdpFlow* newer = nullptr;
};

class UdpFlows {
 public:
  // Null when there is none.
  UdpFlow* Find(const FlowKey& key);
  UdpFlow& Insert(std::unique_ptr<UdpFlow> flow);
  void Touch(UdpFlow& flow, int64_t now);
  std::unique_ptr<UdpFlow> Remove(UdpFlow& flow);
  UdpFlow* oldest() const { return oldest_; }
  size_t size() const { return by_key_.size(); }
  // A flow keeps its bucket while their number stays, however it is used.
  size_t buckets() const { return by_key_.bucket_count(); }
  template <typename Visit>
  void VisitBucket(size_t bucket, const Visit& visit) const {
    for (auto flow = by_key_.begin(bucket); flow != by_key_.end(bucket); ++flow)
      visit(*flow->second);
  }

 private:
  void Link(UdpFlow& flow);
  void Unlink(UdpFlow& flow);

  std::unordered_map<FlowKey, std::unique_ptr<UdpFlow>, FlowKeyHash> by_key_;
  UdpFlow* oldest_ = nullptr;
  UdpFlow* newest_ = nullptr;
};

}  // namespace spliceport
