#include "udp/udp_flows.h"

#include <utility>

namespace spliceport {

UdpFlow* UdpFlows::Find(const FlowKey& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second.get();
}

UdpFlow& UdpFlows::Insert(std::unique_ptr<UdpFlow> flow) {
  UdpFlow& inserted = *flow;
  by_key_.emplace(inserted.key, std::move(flow));
  Link(inserted);
  return inserted;
}

void UdpFlows::Touch(UdpFlow& flow, int64_t now) {
  flow.used_micros = now;
  if (newest_ == &flow) return;
  Unlink(flow);
  Link(flow);
}

std::unique_ptr<UdpFlow> UdpFlows::Remove(UdpFlow& flow) {
  Unlink(flow);
  auto node = by_key_.extract(flow.key);
  return std::move(node.mapped());
}

void UdpFlows::Link(UdpFlow& flow) {
  flow.older = newest_;
  flow.newer = nullptr;
  (newest_ == nullptr ? oldest_ : newest_->newer) = &flow;
  newest_ = &flow;
}

void UdpFlows::Unlink(UdpFlow& flow) {
  (flow.older == nullptr ? oldest_ : flow.older->newer) = flow.newer;
  (flow.newer == nullptr ? newest_ : flow.newer->older) = flow.older;
}

}  // namespace spliceport
