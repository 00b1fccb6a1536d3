{
  # The one list of the engine's sources: binding.gyp includes it, and CMakeLists.txt reads it.
  # Nothing here may include napi.h; see docs/architecture.md, "Layers".
  'variables': {
    'engine_sources': [
      'native/address.cc',
      'native/engine.cc',
      'native/epoll.cc',
      'native/link.cc',
      'native/pipe.cc',
      'native/pump.cc',
      'native/setns.cc',
      'native/socket.cc',
      'native/splice.cc',
      'native/tcp_forward.cc',
      'native/tcp_session.cc',
      'native/timer.cc',
      'native/udp_batch.cc',
      'native/udp_flows.cc',
      'native/udp_forward.cc',
      'native/unix_socket.cc',
      'native/worker.cc',
    ],
    'binding_sources': [
      'native/binding/addon.cc',
      'native/binding/convert.cc',
      'native/binding/engine_wrap.cc',
      'native/binding/fd_watcher.cc',
      'native/binding/sockets.cc',
    ],
  },
}
