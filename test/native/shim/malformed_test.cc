#include <sys/socket.h>

#include <doctest/doctest.h>

#include "shim/plane_support.h"
#include "support/support.h"

namespace spliceport::shim {

namespace {

// One of each section, well formed: what comes before it so that it succeeds, itself, and how many
// descriptors it takes.
struct Sample {
  std::vector<Section> before;
  Section section;
  int fds = 0;
};

Section ListenerOf(char kind) {
  Writer writer;
  if (kind == 'L') writer.U8(1);
  writer.Text("name");
  writer.U64(1);
  writer.U64(2);
  if (kind == 'C') writer.Text("folder");
  return {kind, writer.Take()};
}

Section ReadyOf(bool has_error_fd) {
  Writer writer;
  writer.I32(4);
  writer.I32(5);
  writer.U8(has_error_fd ? 1 : 0);
  return {'R', writer.Take()};
}

Section ReplyOf() {
  Writer writer;
  writer.U32(3);
  writer.Text("answer");
  return {'P', writer.Take()};
}

std::vector<Sample> Samples() {
  const std::vector<Section> ready = {EngineOf(), NetnsOf(), OpenOf({{.count = 2}})};
  std::vector<Section> running = ready;
  running.push_back(AddOf({{.count = 2}}));
  return {
      {{}, EngineOf(), 0},
      {{}, OpenOf({{.count = 2}, {.address = "::1"}}), 0},
      {{}, NetnsOf(), 0},
      {{NetnsOf()}, NumberOf('V', 0), 0},
      {{NetnsOf()}, NumberOf('I', 0), 0},
      {ready,
       AddOf({{.first_id = 1, .allow = {"10.0.0.0/8"}},
              {.first_id = 2, .trusted_proxies = {"10.1.0.0/16"}}}),
       0},
      {running, RetargetOf({{1, -1, "10.0.0.1", 81}, {2, 0, "::1", 82}}), 0},
      {running, RemoveOf(0, {1, 2}), 0},
      {running, StatsOf({1, 2, -1}), 0},
      {running, {'Y', ""}, 0},
      {running, NumberOf('U', 10), 0},
      {{}, TextOf('B', "notes"), 0},
      {{}, ListenerOf('L'), 2},
      {{}, ListenerOf('C'), 2},
      {{}, ReadyOf(false), 0},
      {{}, ReadyOf(true), 1},
      {{}, ReplyOf(), 0},
      {{}, TextOf('W', "warning"), 0},
      {{}, TextOf('F', "failure"), 0},
      {{}, {'K', std::string(1, '\1')}, 0},
      {{}, {'Q', ""}, 0},
      {{}, {'G', ""}, 0},
      {{}, {'X', ""}, 0},
  };
}

std::vector<UniqueFd> SomeFds(int count) {
  std::vector<UniqueFd> fds(static_cast<size_t>(count));
  for (UniqueFd& fd : fds)
    fd.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fds;
}

}  // namespace

TEST_CASE("each section succeeds when it is whole, also with fields that are not known yet") {
  Writer later;
  // Of the two forwards of `A`: their later settings, with more than are known.
  later.Text(std::string(256, 'l'));
  later.Text("");
  later.Text("more");
  const std::string later_fields = later.Take();
  for (const Sample& sample : Samples()) {
    for (const std::string& more : {std::string(), later_fields}) {
      CAPTURE(sample.section.first);
      Plane plane;
      REQUIRE(plane.Do(sample.before).error == 0);
      const Section longer{sample.section.first, sample.section.second + more};
      CHECK(plane.Do({longer}, SomeFds(sample.fds)).error == 0);
    }
  }
}

TEST_CASE("forwards whose later settings are longer than their section are malformed") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf(), NetnsOf(), OpenOf({{}})}).error == 0);
  Section add = AddOf({{}});
  add.second += "later settings";
  CHECK(plane.Do({add}).error == -EINVAL);
}

TEST_CASE("a section that is cut at any byte is malformed, does nothing, and leaks nothing") {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.section.second.size(); ++size) {
      CAPTURE(sample.section.first);
      CAPTURE(size);
      const int before = OpenDescriptors();
      {
        Plane plane;
        REQUIRE(plane.Do(sample.before).error == 0);
        const size_t forwards = StateOf(plane.data).forwards.size();
        const Section cut{sample.section.first, sample.section.second.substr(0, size)};
        const Answer answer = plane.Do({cut}, SomeFds(sample.fds));
        CHECK(answer.IsMalformed());
        CHECK(answer.section == 0);
        CHECK(answer.results.empty());
        CHECK(plane.host.calls.empty());
        const State state = StateOf(plane.data);
        CHECK(state.forwards.size() == forwards);
        CHECK(state.blob.empty());
      }
      CHECK(OpenDescriptors() == before);
    }
  }
}

TEST_CASE(
    "a request that is cut at any byte does the whole sections before, and fails after them") {
  std::vector<Section> sections = {TextOf('B', "one"), TextOf('W', "two"), NetnsOf()};
  const std::string whole = RequestOf(sections);
  std::vector<size_t> ends = {4};
  for (const Section& section : sections)
    ends.push_back(ends.back() + 5 + section.second.size());
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    Plane plane;
    const Answer answer = AnswerFrom(plane.data.Execute(std::span(whole).first(size), {}));
    size_t done = 0;
    while (done + 1 < ends.size() && ends[done + 1] <= size)
      ++done;
    CHECK(answer.results.size() == done);
    const bool is_whole = size == ends[done];
    CHECK(answer.error == (is_whole ? 0 : -EINVAL));
    if (!is_whole) CHECK(answer.section == done);
  }
}

TEST_CASE("a number of entries that is not there is malformed, however large") {
  for (const char kind : std::string("OATS")) {
    Plane plane;
    REQUIRE(plane.Do({EngineOf()}).error == 0);
    CHECK(plane.Do({NumberOf(kind, 0xffffffff)}).IsMalformed());
  }
}

TEST_CASE("more sockets than any process can have are malformed, and take no memory") {
  Plane plane;
  const OpenEntry all{.count = 65'535, .port = 1};
  CHECK(plane.Do({OpenOf(std::vector<OpenEntry>(10'000, all))}).IsMalformed());
  CHECK(plane.Do({OpenOf({{.count = 2, .port = 65'535}})}).IsMalformed());
}

TEST_CASE("a drain that no clock can measure is malformed") {
  Plane plane;
  REQUIRE(plane.Do({EngineOf()}).error == 0);
  for (const int64_t millis : {int64_t{-1}, INT64_MAX, INT64_MAX / 1'000, INT64_MIN})
    CHECK(plane.Do({RemoveOf(millis, {})}).IsMalformed());
  CHECK(plane.Do({RemoveOf(int64_t{1} << 40, {})}).error == 0);
}

TEST_CASE("descriptors that no section takes are closed, whether the request fails or not") {
  const int before = OpenDescriptors();
  {
    Plane plane;
    CHECK(plane.Do({TextOf('B', "x")}, SomeFds(3)).error == 0);
    CHECK(plane.Do({{'?', ""}}, SomeFds(3)).error == -ENOSYS);
    CHECK(plane.Do({}, SomeFds(200)).error == 0);
    CHECK(plane.Do({ListenerOf('L')}, SomeFds(1)).IsMalformed());
    CHECK(plane.Do({ListenerOf('C')}, SomeFds(1)).IsMalformed());
    CHECK(plane.Do({ReadyOf(true)}).IsMalformed());
    CHECK(plane.host.calls.empty());
    CHECK(OpenDescriptors() == before + 1);
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("what concerns the process is passed on to it, with its descriptors") {
  Plane plane;
  auto fds = SomeFds(5);
  const std::vector<int> numbers = {fds[0].get(), fds[1].get(), fds[2].get(), fds[3].get(),
                                    fds[4].get()};
  REQUIRE(plane
              .Do({ListenerOf('L'),
                   ListenerOf('C'),
                   ReadyOf(true),
                   TextOf('W', "careful"),
                   ReplyOf(),
                   {'K', std::string(1, '\1')},
                   {'K', std::string(1, '\0')},
                   {'G', ""},
                   TextOf('F', "text")},
                  std::move(fds))
              .error == 0);
  CHECK(plane.host.calls ==
        "reload(name)control(name)ready(4,5)warn(careful)reply(3,answer)keepdo not keepagainfail("
        "text)");
  REQUIRE(plane.host.reload);
  CHECK(plane.host.reload->type == UnixType::kStream);
  CHECK(plane.host.reload->dev == 1);
  CHECK(plane.host.reload->ino == 2);
  CHECK(plane.host.reload->listener.get() == numbers[0]);
  CHECK(plane.host.reload->folder.get() == numbers[1]);
  REQUIRE(plane.host.control);
  CHECK(plane.host.control->folder_to_remove == "folder");
  CHECK(plane.host.control->listener.get() == numbers[2]);
  CHECK(plane.host.control->folder.get() == numbers[3]);
  CHECK(plane.host.error_output.get() == numbers[4]);
  REQUIRE(plane.Do({ListenerOf('C')}).error == 0);
  CHECK_FALSE(plane.host.control);
}

TEST_CASE("a control socket without a name is none, whatever descriptors come for others") {
  Plane plane;
  REQUIRE(plane.Do({ListenerOf('C')}, SomeFds(2)).error == 0);
  Writer none;
  none.Text("");
  none.U64(0);
  none.U64(0);
  none.Text("");
  auto fds = SomeFds(1);
  const int number = fds[0].get();
  REQUIRE(plane.Do({{'C', none.Take()}, ReadyOf(true)}, std::move(fds)).error == 0);
  CHECK_FALSE(plane.host.control);
  CHECK(plane.host.error_output.get() == number);
}

TEST_CASE("the process can refuse to be ready, and is ready once") {
  Plane plane;
  plane.host.ready_failure = {-EPERM, "epoll_ctl"};
  CHECK(plane.Do({ReadyOf(false)}).Failed(-EPERM, "epoll_ctl"));
  plane.host.ready_failure = {0, ""};
  CHECK(plane.Do({ReadyOf(false)}).error == 0);
  CHECK(plane.Do({ReadyOf(false)}).IsMalformed());
}

TEST_CASE("a process of its own takes over only while nothing is open") {
  const std::vector<std::vector<Section>> opened = {{EngineOf()}, {OpenOf({{}})}, {ReadyOf(false)}};
  for (const auto& before : opened) {
    Plane plane;
    REQUIRE(plane.Do(before).error == 0);
    CHECK(plane.Do({{'Q', ""}}).Failed(-EBUSY, "section"));
  }
  Plane plane;
  CHECK(plane.Do({{'Q', ""}}).error == 0);
  CHECK(plane.host.calls == "own");
}

}  // namespace spliceport::shim
