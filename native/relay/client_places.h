// client_places.h: how many sessions or flows each client of a forward has open, so that one client
//                  cannot take the places of all.
// Owns:   a count for each client that has any; a client that has none costs nothing.
// Thread: any; workers that ask for different clients rarely wait for each other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "net/address.h"

namespace spliceport {

class ClientPlaces {
 public:
  // False, and nothing is taken, if the client has `max` places already.
  bool Take(const Address& client, int64_t max);
  // After a Take of the same client that succeeded.
  void GiveBack(const Address& client);
  // Clients that have places.
  size_t clients() const;

 private:
  // A client of IPv6 is its network of 64 bits, within which it chooses its addresses.
  struct Key {
    uint64_t network = 0;
    uint64_t host = 0;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const noexcept;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key, int64_t, Hash> places;
  };
  static constexpr size_t kShards = 16;

  static Key KeyOf(const Address& client);
  Shard& ShardOf(const Key& key) { return shards_[Hash()(key) % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace spliceport
