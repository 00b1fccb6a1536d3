// stage.ts: puts up what a measurement needs (server, forwarder) and takes it down again, whatever
// happens.

import type { Lab } from '../lab.js';
import { CONTAINER_PORT, HOST_PORT, type LoadOptions, serve } from '../load.js';
import type { Process } from '../process.js';
import type { Driver, ForwardRequest, Running } from '../types.js';

/** What differs from one TCP port on the host's loopback. */
export interface Setting {
  readonly request?: Partial<ForwardRequest>;
  /** Options of the load generator's server. */
  readonly serverOptions?: LoadOptions;
  /** Starts another server in its place. */
  readonly server?: (lab: Lab) => Promise<Process>;
}

/** The request that scenarios make unless they say otherwise. */
export function requestOf(partial: Partial<ForwardRequest> = {}): ForwardRequest {
  return {
    protocol: 'tcp',
    hostAddress: '127.0.0.1',
    hostPort: HOST_PORT,
    containerPort: CONTAINER_PORT,
    count: 1,
    ...partial,
  };
}

/** Runs `act` with a fresh forwarder in front of a fresh server. */
export async function onStage<T>(
  lab: Lab,
  driver: Driver,
  setting: Setting,
  act: (running: Running) => Promise<T>,
): Promise<T> {
  lab.renewContainer();
  const server = await (setting.server ?? ((place) => serve(place, setting.serverOptions)))(lab);
  try {
    const running = await driver.start(lab, requestOf(setting.request));
    try {
      return await act(running);
    } finally {
      await running.stop();
    }
  } finally {
    await server.stop();
  }
}
