// control.ts: what `spliceport/control` exports.

export { ControlClient, ControlError, listForwarders } from './client.js';
export type { ClientOptions, RunningForwarder } from './client.js';
export { openControlSocket, type ControlOptions, type ControlSocket } from './listen.js';
export type { ContainerInfo, DrainReport, ForwarderInfo, StatsReport } from './types.js';
