{
  # What both builds have in common: binding.gyp includes it, and CMakeLists.txt reads it.
  # No source of the engine may include napi.h; see docs/architecture.md, "Layers".
  'variables': {
    'engine_sources': [
      'native/address.cc',
      'native/admission.cc',
      'native/cidr.cc',
      'native/engine.cc',
      'native/epoll.cc',
      'native/link.cc',
      'native/pipe.cc',
      'native/proxy_accept.cc',
      'native/proxy_protocol.cc',
      'native/pump.cc',
      'native/setns.cc',
      'native/socket.cc',
      'native/splice.cc',
      'native/tcp_forward.cc',
      'native/tcp_session.cc',
      'native/tcp_session_bulk.cc',
      'native/timer.cc',
      'native/udp_batch.cc',
      'native/udp_flows.cc',
      'native/udp_forward.cc',
      'native/unique_ids.cc',
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
    'binding_defines': [
      'NAPI_VERSION=8',
      'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
      'NODE_ADDON_API_DISABLE_DEPRECATED',
    ],
  },
}
