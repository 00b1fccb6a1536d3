#include "base/epoll.h"

#include <sys/eventfd.h>

namespace spliceport {

Result<Epoll> Epoll::Create() {
  UniqueFd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return LastError("epoll_create1");
  return Epoll(std::move(fd));
}

Result<void> Epoll::Add(int fd, uint32_t events, EventHandler& handler) {
  const bool is_new = handler.slot_ == EventHandler::kNoSlot;
  const uint32_t slot = SlotOf(handler);
  const uint32_t generation = slots_[slot].generation + 1;
  epoll_event event{};
  event.events = events;
  event.data.u64 = (uint64_t{generation} << 32) | slot;
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    const SysError error = LastError("epoll_ctl");
    if (is_new) Forget(handler);
    return error;
  }
  slots_[slot].generation = generation;
  return {};
}

uint32_t Epoll::SlotOf(EventHandler& handler) {
  if (handler.slot_ != EventHandler::kNoSlot) return handler.slot_;
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  handler.slot_ = free_slots_.back();
  free_slots_.pop_back();
  slots_[handler.slot_].handler = &handler;
  return handler.slot_;
}

void Epoll::Forget(EventHandler& handler) {
  if (handler.slot_ == EventHandler::kNoSlot) return;
  Slot& slot = slots_[handler.slot_];
  slot.handler = nullptr;
  ++slot.generation;
  free_slots_.push_back(std::exchange(handler.slot_, EventHandler::kNoSlot));
}

void Epoll::Remove(int fd) { epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::span<const epoll_event> Epoll::Wait(std::span<epoll_event> room, int timeout_millis) {
  const int count =
      epoll_wait(fd_.get(), room.data(), static_cast<int>(room.size()), timeout_millis);
  Check(count >= 0 || errno == EINTR, "epoll_wait failed");
  return room.first(count < 0 ? 0 : static_cast<size_t>(count));
}

void Epoll::Dispatch(std::span<const epoll_event> events) {
  for (const epoll_event& event : events) {
    Slot& slot = slots_[static_cast<uint32_t>(event.data.u64)];
    if (slot.handler == nullptr || slot.generation != event.data.u64 >> 32) continue;
    if (std::exchange(slot.period, period_) != period_) ++busy_handlers_;
    slot.handler->OnEvents(event.events);
  }
}

Result<Waker> Waker::Create() {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return LastError("eventfd");
  return Waker(std::move(fd));
}

void Waker::Wake() {
  // Fails only when the counter is at its maximum, and then the other side is awake anyway.
  (void)eventfd_write(fd_.get(), 1);
}

void Waker::Drain() {
  eventfd_t count = 0;
  (void)eventfd_read(fd_.get(), &count);
}

}  // namespace spliceport
