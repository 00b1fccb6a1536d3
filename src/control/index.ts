// control.ts: what `spliceport/control` exports.
// Types of `await using`, for those who compile for a target without them.
/// <reference lib="esnext.disposable" preserve="true" />

export { ControlClient, ControlError, listForwarders } from './client.js';
export type { ClientOptions, RunningForwarder } from './client.js';
export { openControlSocket, type ControlOptions, type ControlSocket } from './listen.js';
export type { ContainerInfo, DrainReport, ForwarderInfo, StatsReport } from './control-types.js';
