// udp.ts: datagrams paced and flooded, in many flows, and there and back.

import { load, type LoadOptions, operationFigures } from '../load.js';
import type { Scenario } from '../types.js';
import { onStage } from './stage.js';

const UDP = { protocol: 'udp' } as const;

function sending(
  name: string,
  title: string,
  options: LoadOptions,
  byDefault: boolean,
  serverOptions: LoadOptions = {},
): Scenario {
  return {
    name,
    title,
    group: 'udp',
    protocol: 'udp',
    unit: '/s',
    headline: 'rate',
    byDefault,
    measure: (lab, driver, timing) =>
      onStage(lab, driver, { request: UDP, serverOptions }, async (running) => {
        const counters = lab.path('counters');
        const result = await load(lab, running, 'udp-send', timing, { counters, ...options });
        return operationFigures(result);
      }),
  };
}

function thereAndBack(
  name: string,
  title: string,
  options: LoadOptions,
  byDefault: boolean,
): Scenario {
  return {
    name,
    title,
    group: 'udp',
    protocol: 'udp',
    unit: '/s',
    headline: 'rate',
    byDefault,
    measure: (lab, driver, timing) =>
      onStage(lab, driver, { request: UDP, serverOptions: { echo: 1 } }, async (running) =>
        operationFigures(await load(lab, running, 'udp-rr', timing, options)),
      ),
  };
}

/** The UDP rows that need nothing but this project. */
export const UDP_SCENARIOS: readonly Scenario[] = [
  sending('udp-paced', 'Datagrams of 1,400 B, 100,000 a second', { rate: 100_000 }, true),
  sending('udp-flood', 'Datagrams of 1,400 B, flooded', {}, true),
  sending(
    'udp-gso',
    'Datagrams of 1,400 B, flooded with GSO to a server with GRO',
    { gso: 1 },
    true,
    { gro: 1 },
  ),
  sending(
    'udp-gso-plain',
    'Datagrams of 1,400 B, flooded with GSO to a server without GRO',
    { gso: 1 },
    false,
  ),
  sending('udp-flows', 'Datagrams of 1,400 B, flooded in 10,000 flows', { flows: 10_000 }, false),
  thereAndBack('udp-rr-16', 'Datagrams there and back, 16 clients of 64 B', { clients: 16 }, true),
  thereAndBack('udp-rr-1', 'Datagrams there and back, 1 client of 64 B', { clients: 1 }, false),
  thereAndBack(
    'udp-window',
    'One flow of 1,400 B both ways, 64 datagrams under way (as QUIC or WireGuard)',
    { clients: 1, depth: 64, bytes: 1_400 },
    false,
  ),
];
