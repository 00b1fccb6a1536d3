// client-address.ts: clients that are not on the host's loopback, whose addresses servers can be
// shown. To compare `library` with `library,sourceAddress=transparent`.

import { bulkFigures, load, operationFigures } from '../load.js';
import type { Scenario } from '../types.js';
import { onStage } from './stage.js';

/** An address of the host that the container has no way to. */
const ADDRESS = '198.51.100.1';
/** So many that none comes again before the forwarder has forgotten it. */
const CLIENTS = { network: '10.64.0.0/14', first: '10.64.0.1', count: 250_000 };
/** From then on as many addresses go as come. */
const LINGER_SECONDS = 3;
const SETTING = { request: { hostAddress: ADDRESS } };

function bulk(direction: 'up' | 'down'): Scenario {
  return {
    name: `outside-bulk-${direction}-1`,
    title: `Bulk to the ${direction === 'up' ? 'container' : 'host'}, 1 stream, a client off the loopback`,
    group: 'tcp',
    protocol: 'tcp',
    unit: 'Gb/s',
    headline: 'rate',
    byDefault: false,
    measure: (lab, driver, timing) => {
      lab.addHostAddress(ADDRESS);
      return onStage(lab, driver, SETTING, async (running) => {
        const options = { direction, streams: 1, counters: lab.path('counters') };
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

/**
 * Each connection is from an address that has had none for seconds: what the forwarder does for an
 * address is done and undone once per operation, with some ten thousands of them in place.
 */
const NEW_CLIENTS: Scenario = {
  name: 'transparent-clients',
  title: 'Connect, request, response, close: each time from a new address',
  group: 'tcp',
  protocol: 'tcp',
  unit: '/s',
  headline: 'cpu',
  byDefault: false,
  suits: (driver) => driver.kind === 'spliceport',
  measure: (lab, driver, asked) => {
    lab.addHostAddress(ADDRESS);
    lab.addHostNetwork(CLIENTS.network);
    const timing = { ...asked, warmup: Math.max(asked.warmup, LINGER_SECONDS) };
    const options = { clients: 16, from: CLIENTS.first, addresses: CLIENTS.count };
    return onStage(lab, driver, SETTING, async (running) =>
      operationFigures(await load(lab, running, 'crr', timing, options)),
    );
  },
};

/** Bulk and short connections from addresses that servers can be shown. */
export const CLIENT_ADDRESS_SCENARIOS: readonly Scenario[] = [
  bulk('up'),
  bulk('down'),
  shortConnections(16),
  NEW_CLIENTS,
];
