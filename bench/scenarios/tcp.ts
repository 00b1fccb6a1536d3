// tcp.ts: bulk, request/response and short connections, by the project's own load generator.

import { bulkFigures, load, operationFigures } from '../load.js';
import type { Scenario } from '../types.js';
import { besideBusyPrograms } from './busy.js';
import { onStage } from './stage.js';

type Direction = 'up' | 'down';

const DIRECTION_TEXT: Record<Direction, string> = { up: 'to the container', down: 'to the host' };

function bulk(direction: Direction, streams: number, byDefault: boolean): Scenario {
  return {
    name: `bulk-${direction}-${streams}`,
    title: `Bulk ${DIRECTION_TEXT[direction]}, ${streams} stream${streams > 1 ? 's' : ''}`,
    group: 'tcp',
    protocol: 'tcp',
    unit: 'Gb/s',
    headline: 'rate',
    byDefault,
    measure: (lab, driver, timing) =>
      onStage(lab, driver, {}, async (running) => {
        const options = { direction, streams, counters: lab.path('counters') };
        return bulkFigures(await load(lab, running, 'bulk', timing, options));
      }),
  };
}

function requestResponse(connections: number, bytes: number, byDefault: boolean): Scenario {
  const size = bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
  return {
    name: `rr-${connections}-${size.replace(/ ?(Ki)?B/, (_, kilo) => (kilo ? 'k' : ''))}`,
    title: `Request/response, ${connections} connection${connections > 1 ? 's' : ''} of ${size}`,
    group: 'tcp',
    protocol: 'tcp',
    unit: '/s',
    headline: connections === 1 ? 'p50Micros' : 'rate',
    byDefault,
    measure: (lab, driver, timing) =>
      onStage(lab, driver, {}, async (running) =>
        operationFigures(await load(lab, running, 'rr', timing, { connections, bytes })),
      ),
  };
}

/**
 * The same work where the processors are in demand: how soon a forwarder gets one, and how little
 * it needs.
 */
function amongBusyPrograms(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name}-busy`,
    title: `${scenario.title}, on busy processors`,
    byDefault: false,
    measure: (lab, driver, timing) =>
      besideBusyPrograms(lab, timing, () => scenario.measure(lab, driver, timing)),
  };
}

function shortConnections(clients: number, byDefault: boolean): Scenario {
  return {
    name: `crr-${clients}`,
    title: `Connect, request, response, close: ${clients} clients`,
    group: 'tcp',
    protocol: 'tcp',
    unit: '/s',
    headline: 'rate',
    byDefault,
    measure: (lab, driver, timing) =>
      onStage(lab, driver, {}, async (running) =>
        operationFigures(await load(lab, running, 'crr', timing, { clients })),
      ),
  };
}

/** The TCP rows that need nothing but this project. */
export const TCP_SCENARIOS: readonly Scenario[] = [
  bulk('up', 1, true),
  bulk('down', 1, true),
  bulk('up', 8, true),
  bulk('down', 8, true),
  bulk('up', 64, false),
  bulk('down', 64, false),
  requestResponse(1, 1, true),
  requestResponse(2, 1, false),
  requestResponse(4, 1, false),
  requestResponse(8, 1, false),
  requestResponse(16, 1, false),
  requestResponse(64, 1, true),
  requestResponse(512, 1, false),
  requestResponse(1, 4096, false),
  requestResponse(64, 4096, true),
  requestResponse(512, 4096, false),
  requestResponse(1, 65536, false),
  requestResponse(64, 65536, false),
  requestResponse(512, 65536, false),
  ...[1, 2, 4, 8, 16, 64].map((connections) =>
    amongBusyPrograms(requestResponse(connections, 1, false)),
  ),
  shortConnections(16, true),
  shortConnections(128, false),
];
