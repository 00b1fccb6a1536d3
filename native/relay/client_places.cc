#include "relay/client_places.h"

#include <cstring>

#include "base/secret_hash.h"

namespace spliceport {

size_t ClientPlaces::Hash::operator()(const Key& key) const noexcept {
  SecretHash hash;
  hash.Add(key.network);
  hash.Add(key.host);
  return hash.Finish();
}

ClientPlaces::Key ClientPlaces::KeyOf(const Address& client) {
  const Address address = client.Unmapped();
  Key key;
  if (address.is_v6()) {
    std::memcpy(&key.network, &address.v6(), sizeof(key.network));
  } else {
    // No IPv6 client has a host part.
    key.host = (uint64_t{1} << 32U) | address.v4().s_addr;
  }
  return key;
}

bool ClientPlaces::Take(const Address& client, int64_t max) {
  const Key key = KeyOf(client);
  Shard& shard = ShardOf(key);
  const std::lock_guard lock(shard.mutex);
  int64_t& taken = shard.places[key];
  if (taken >= max) return false;
  ++taken;
  return true;
}

void ClientPlaces::GiveBack(const Address& client) {
  const Key key = KeyOf(client);
  Shard& shard = ShardOf(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.places.find(key);
  if (found != shard.places.end() && --found->second == 0) shard.places.erase(found);
}

size_t ClientPlaces::clients() const {
  size_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    sum += shard.places.size();
  }
  return sum;
}

}  // namespace spliceport
