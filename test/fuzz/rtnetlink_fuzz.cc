// What the kernel may answer about routes, whatever it is. A byte chooses the question. Each answer
// has two bytes for its size; its messages are given the number of the question at one of the
// places where that is awaited, or none.

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "expect.h"
#include "routes/rtnetlink_messages.h"

namespace spliceport {

namespace {

constexpr size_t kMaxAnswers = 12;
constexpr uint32_t kTable = 7;

std::span<const uint8_t> Take(std::span<const uint8_t>& rest, size_t size) {
  const auto taken = rest.first(std::min(size, rest.size()));
  rest = rest.subspan(taken.size());
  return taken;
}

// Attributes lie within the bytes that they are of. These have just the room that they take, so
// that a read outside shows.
void CheckAttributes(std::span<const uint8_t> bytes) {
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const RouteAttributes attributes(copy.data(), copy.size());
  for (size_t type = 0; type <= RTA_MAX; ++type) {
    (void)attributes.Get<uint8_t>(type);
    (void)attributes.Get<in6_addr>(type);
    Expect(attributes.Has(type) || attributes.Get<uint32_t>(type) == 0);
  }
  size_t seen = 0;
  ForEachMessage(copy.data(), copy.size(), [&](const nlmsghdr&, const char* body, size_t size) {
    Expect(body >= copy.data() + NLMSG_HDRLEN);
    Expect(size <= static_cast<size_t>(copy.data() + copy.size() - body));
    (void)ErrorIn(body, size);
    return ++seen <= copy.size();
  });
  Expect(seen <= copy.size() / NLMSG_HDRLEN);
}

// Puts the number of a question that is awaited, from 1 on, where 1 to 16 is; the fuzzer need not
// find four bytes.
std::vector<char> AsAnswer(std::span<const uint8_t> bytes) {
  std::vector<char> answer(bytes.begin(), bytes.end());
  for (size_t at = 0; at + sizeof(nlmsghdr) <= answer.size();) {
    nlmsghdr head{};
    std::memcpy(&head, &answer[at], sizeof(head));
    head.nlmsg_seq %= 17;
    head.nlmsg_len %= 512;
    std::memcpy(&answer[at], &head, sizeof(head));
    if (head.nlmsg_len < sizeof(head)) break;
    at += NLMSG_ALIGN(head.nlmsg_len);
  }
  return answer;
}

void Ask(RouteSocket& socket, uint8_t question) {
  switch (question % 6) {
    case 0: {
      RouteBatch batch;
      batch.Add(SourceRule{false, Protocol::kTcp, 80, kTable});
      batch.Remove(LocalRoute{*Address::Parse("192.0.2.1", 0), {}, kTable});
      (void)socket.Commit(batch).ok();
      return;
    }
    case 1:
      (void)socket.ReachOf(*Address::Parse("192.0.2.1", 0)).ok();
      return;
    case 2:
      (void)socket.ReachOf(*Address::Parse("2001:db8::1", 0)).ok();
      return;
    case 3:
      (void)socket.Rules().ok();
      return;
    case 4:
      (void)socket.Addresses().ok();
      return;
    default: {
      auto routes = socket.Routes(kTable);
      if (!routes.ok()) return;
      for (const LocalRoute& route : routes.value())
        Expect(route.table == kTable);
    }
  }
}

void Try(std::span<const uint8_t> bytes) {
  CheckAttributes(bytes);
  const auto question = Take(bytes, 1);
  if (question.empty()) return;
  int fds[2];
  Expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  const UniqueFd kernel(fds[0]);
  RouteSocket socket{UniqueFd(fds[1])};
  for (size_t count = 0; count < kMaxAnswers && bytes.size() > 2; ++count) {
    const auto size = Take(bytes, 2);
    const std::vector<char> answer = AsAnswer(Take(bytes, size[0] | (size[1] & 1) << 8));
    (void)send(kernel.get(), answer.data(), answer.size(), 0);
  }
  // When nothing more waits there, it fails with EAGAIN, and does not wait.
  Ask(socket, question[0]);
}

}  // namespace

}  // namespace spliceport

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spliceport::Try(std::span(data, size));
  return 0;
}
