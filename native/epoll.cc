#include "epoll.h"

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

int Epoll::Dispatch(std::span<epoll_event> batch, int timeout_millis) {
  const int count =
      epoll_wait(fd_.get(), batch.data(), static_cast<int>(batch.size()), timeout_millis);
  if (count < 0) {
    Check(errno == EINTR, "epoll_wait failed");
    return 0;
  }
  for (int i = 0; i < count; ++i) {
    const Slot& slot = slots_[static_cast<uint32_t>(batch[i].data.u64)];
    if (slot.handler != nullptr && slot.generation == batch[i].data.u64 >> 32)
      slot.handler->OnEvents(batch[i].events);
  }
  return count;
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
