// client-address.ts: clients that are not on the host's loopback, whose addresses servers can be shown. To compare
// `library` with `library,sourceAddress=transparent`.

import { bulkFigures, load, operationFigures } from '../load.js';
import type { Scenario } from '../types.js';
import { onStage } from './stage.js';

/** An address of the host that the container has no way to. */
const ADDRESS = '198.51.100.1';
const SETTING = { request: { hostAddress: ADDRESS } };
const COMMON = { group: 'tcp', protocol: 'tcp', headline: 'rate', byDefault: false } as const;

/** Bulk and short connections from {@link ADDRESS}. */
export const CLIENT_ADDRESS_SCENARIOS: readonly Scenario[] = [
  {
    ...COMMON,
    name: 'outside-bulk-up-1',
    title: 'Bulk to the container, 1 stream, a client off the loopback',
    unit: 'Gb/s',
    measure: (lab, driver, timing) => {
      lab.addHostAddress(ADDRESS);
      return onStage(lab, driver, SETTING, async (running) => {
        const options = { direction: 'up', streams: 1, counters: lab.path('counters') };
        return bulkFigures(await load(lab, running, 'bulk', timing, options));
      });
    },
  },
  {
    ...COMMON,
    name: 'outside-crr-16',
    title: 'Connect, request, response, close: 16 clients off the loopback',
    unit: '/s',
    measure: (lab, driver, timing) => {
      lab.addHostAddress(ADDRESS);
      return onStage(lab, driver, SETTING, async (running) =>
        operationFigures(await load(lab, running, 'crr', timing, { clients: 16 })),
      );
    },
  },
];
