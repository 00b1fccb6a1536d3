// index.ts: the public API, in full.
// Types of `await using`, for those who compile for a target without them.
/// <reference lib="esnext.disposable" preserve="true" />

export { formatPortSpec, parsePortSpec } from './spec/port-spec.js';
export { Engine } from './engine/engine.js';
export { Forwarder } from './forwarder.js';
export {
  SpliceportError,
  SpliceportSystemError,
  type SpliceportArgumentError,
  type SpliceportErrorCode,
} from './errors.js';
export {
  CONNECT_LATENCY_BUCKETS_MICROS,
  type CloseOptions,
  type ConnectFailure,
  type EndedSession,
  type EngineHandle,
  type EngineOptions,
  type Endpoint,
  type Forward,
  type ForwarderEvents,
  type ForwarderOptions,
  type ForwardSpec,
  type NetnsReference,
  type Protocol,
  type Session,
  type SessionEnding,
  type SessionState,
  type Side,
  type SocketForwardSpec,
  type SourceAddress,
  type Stats,
  type TargetChange,
} from './types.js';
