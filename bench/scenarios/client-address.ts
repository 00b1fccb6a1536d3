// client-address.ts: clients that are not on the host's loopback, whose addresses servers can be shown. To compare
// `library` with `library,sourceAddress=transparent`.

import { bulkFigures, load, operationFigures } from '../load.js';
import type { Scenario } from '../types.js';
import { onStage } from './stage.js';

/** An address of the host that the container has no way to. */
const ADDRESS = '198.51.100.1';
const SETTING = { request: { hostAddress: ADDRESS } };

function bulk(): Scenario {
  return {
    name: 'outside-bulk-up-1',
    title: 'Bulk to the container, 1 stream, a client off the loopback',
    group: 'tcp',
    protocol: 'tcp',
    unit: 'Gb/s',
    headline: 'rate',
    byDefault: false,
    measure: (lab, driver, timing) => {
      lab.addHostAddress(ADDRESS);
      return onStage(lab, driver, SETTING, async (running) => {
        const options = { direction: 'up', streams: 1, counters: lab.path('counters') };
        return bulkFigures(await load(lab, running, 'bulk', timing, options));
      });
    },
  };
}

function shortConnections(clients: number): Scenario {
  return {
    name: `outside-crr-${clients}`,
    title: `Connect, request, response, close: ${clients} clients off the loopback`,
    group: 'tcp',
    protocol: 'tcp',
    unit: '/s',
    headline: 'rate',
    byDefault: false,
    measure: (lab, driver, timing) => {
      lab.addHostAddress(ADDRESS);
      return onStage(lab, driver, SETTING, async (running) =>
        operationFigures(await load(lab, running, 'crr', timing, { clients })),
      );
    },
  };
}

/** Bulk and short connections from an address that servers can be shown. */
export const CLIENT_ADDRESS_SCENARIOS: readonly Scenario[] = [bulk(), shortConnections(16)];
