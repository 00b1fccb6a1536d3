#include "base/secret_hash.h"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <span>

#include "net/address.h"

namespace spliceport {

namespace {

constexpr SecretHash::Key kZero{};
constexpr SecretHash::Key kOther{{1, 2}};

uint64_t HashOf(const SecretHash::Key& key, std::span<const uint64_t> words) {
  SecretHash hash(key);
  for (const uint64_t word : words)
    hash.Add(word);
  return hash.Finish();
}

}  // namespace

// From Python, whose hash of bytes has a key of zeros under PYTHONHASHSEED=0.
TEST_CASE("the hash is SipHash-1-3") {
  const std::array<uint64_t, 3> words = {0x0706050403020100, 0x0f0e0d0c0b0a0908,
                                         0x1716151413121110};
  CHECK(HashOf(kZero, std::span(words).first(1)) == 0xead411e67ebe2eea);
  CHECK(HashOf(kZero, std::span(words).first(2)) == 0x8972188433a5c5b7);
  CHECK(HashOf(kZero, words) == 0x31185a47af932f3a);
}

TEST_CASE("clients who share a bucket under one secret are spread under another") {
  constexpr uint64_t kBuckets = 1'021;
  std::set<uint64_t> buckets;
  size_t chosen = 0;
  for (uint64_t client = 0; chosen < kBuckets; ++client) {
    if (HashOf(kZero, std::span(&client, 1)) % kBuckets != 0) continue;
    ++chosen;
    buckets.insert(HashOf(kOther, std::span(&client, 1)) % kBuckets);
  }
  CHECK(buckets.size() > kBuckets / 2);
}

TEST_CASE("addresses are hashed by the secret of the process") {
  const Address address = *Address::Parse("192.0.2.1", 80);
  SecretHash known(kZero);
  address.AddTo(known);
  SecretHash secret;
  address.AddTo(secret);
  CHECK(address.Hash() == secret.Finish());
  CHECK(address.Hash() != known.Finish());
}

}  // namespace spliceport
