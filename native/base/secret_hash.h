// secret_hash.h: a hash of words that nobody outside the process can predict (SipHash-1-3), so that
//                clients who choose their addresses cannot make a hash table slow.
// Thread: any; a value.
#pragma once

#include <bit>
#include <cstdint>

namespace spliceport {

class SecretHash {
 public:
  struct Key {
    uint64_t words[2];
  };

  // By the secret of this process.
  SecretHash() : SecretHash(OfProcess()) {}
  explicit SecretHash(const Key& key)
      : a_(key.words[0] ^ 0x736f6d6570736575ULL),
        b_(key.words[1] ^ 0x646f72616e646f6dULL),
        c_(key.words[0] ^ 0x6c7967656e657261ULL),
        d_(key.words[1] ^ 0x7465646279746573ULL) {}

  void Add(uint64_t word) {
    bytes_ += sizeof(word);
    Absorb(word);
  }
  // Once, after all words.
  uint64_t Finish() {
    constexpr int kLengthShift = 56;
    constexpr int kLastRounds = 3;
    Absorb(bytes_ << kLengthShift);
    c_ ^= 0xff;
    for (int round = 0; round < kLastRounds; ++round)
      Round();
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  static const Key& OfProcess();

  void Absorb(uint64_t word) {
    d_ ^= word;
    Round();
    a_ ^= word;
  }
  void Round() {
    a_ += b_;
    b_ = std::rotl(b_, 13) ^ a_;
    a_ = std::rotl(a_, 32);
    c_ += d_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ += d_;
    d_ = std::rotl(d_, 21) ^ a_;
    c_ += b_;
    b_ = std::rotl(b_, 17) ^ c_;
    c_ = std::rotl(c_, 32);
  }

  uint64_t a_;
  uint64_t b_;
  uint64_t c_;
  uint64_t d_;
  uint64_t bytes_ = 0;
};

}  // namespace spliceport
