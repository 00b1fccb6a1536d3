// task.h: a function to call later, once. Move-only, so it may own what it captures.
// Thread: any; made on one thread and run on another. Whatever it captures is destroyed with it.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace spliceport {

template <typename... Arguments>
class Task {
 public:
  template <typename Function>
  requires std::is_invocable_v<Function&, Arguments...>
  // NOLINTNEXTLINE(google-explicit-constructor): a lambda is passed as it is, as to std::function.
  Task(Function function) : body_(std::make_unique<Body<Function>>(std::move(function))) {}

  void operator()(Arguments... arguments) { body_->Run(std::forward<Arguments>(arguments)...); }

 private:
  struct Callable {
    virtual ~Callable() = default;
    virtual void Run(Arguments... arguments) = 0;
  };
  template <typename Function>
  struct Body final : Callable {
    explicit Body(Function function_to_run) : function(std::move(function_to_run)) {}
    void Run(Arguments... arguments) override { function(std::forward<Arguments>(arguments)...); }
    Function function;
  };

  std::unique_ptr<Callable> body_;
};

}  // namespace spliceport
