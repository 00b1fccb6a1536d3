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
export type { Endpoint, NetnsReference, Protocol, Side, SourceAddress } from './types/endpoints.js';
export type { ForwardSpec, SocketForwardSpec, TargetChange } from './types/forward-spec.js';
export { CONNECT_LATENCY_BUCKETS_MICROS, type Stats } from './types/forward-stats.js';
export type { ConnectFailure, Forward, ForwarderEvents } from './types/forwards.js';
export type {
  CloseOptions,
  EngineHandle,
  EngineOptions,
  ForwarderOptions,
} from './types/options.js';
export type { EndedSession, Session, SessionEnding, SessionState } from './types/session.js';
