// distant.ts: one stream from and to a client far away, over a link with a long round trip
// (bench/delay-link). What is good on a local path, small buffers above all, must not slow such a
// client down.

import { Container, type Lab } from '../lab.js';
import { bulkFigures, load, operationFigures } from '../load.js';
import { Process, until } from '../process.js';
import type { Figures, Running, Scenario, Timing } from '../types.js';
import { onStage } from './stage.js';

const HOST_ADDRESS = '10.99.0.1';
const FAR_ADDRESS = '10.99.0.2';
const RATE_MBPS = 2_000;
// The queues of the devices: the delaying program must be late by milliseconds before one
// overflows.
const DEVICE_QUEUE = '10000';
// Round trips until a stream has found its pace, and then to see it keep it.
const WARMUP_ROUND_TRIPS = 25;
const MEASURED_ROUND_TRIPS = 15;

/** A namespace at the other end of the link, while `act` runs. */
async function withDistantClient<T>(
  lab: Lab,
  roundTripMs: number,
  act: (netns: string) => Promise<T>,
): Promise<T> {
  const far = new Container('far');
  const link = new Process(
    [lab.delayLinkProgram, '--a', `/proc/${process.pid}/ns/net`, '--b', far.netns].concat([
      '--rtt-ms',
      String(roundTripMs),
      '--rate-mbps',
      String(RATE_MBPS),
    ]),
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  try {
    let isReady = false;
    link.child.stdout?.once('data', () => (isReady = true));
    await Promise.race([until(() => isReady, 'delay-link'), link.failsEarly()]);
    lab.ip('addr', 'add', `${HOST_ADDRESS}/30`, 'dev', 'far0');
    lab.ip('link', 'set', 'far0', 'up', 'txqueuelen', DEVICE_QUEUE);
    far.ip('addr', 'add', `${FAR_ADDRESS}/30`, 'dev', 'far0');
    far.ip('link', 'set', 'far0', 'up', 'txqueuelen', DEVICE_QUEUE);
    return await act(far.netns);
  } finally {
    await link.stop(() => link.child.stdin?.end());
    far.remove();
  }
}

/** What all rows with a distant client share. */
function distant(
  row: Pick<Scenario, 'name' | 'title' | 'unit' | 'headline'>,
  roundTripMs: number,
  act: (lab: Lab, client: Running, timing: Timing) => Promise<Figures>,
): Scenario {
  return {
    ...row,
    group: 'tcp',
    protocol: 'tcp',
    byDefault: false,
    suits: (driver) => driver.kind !== 'direct',
    measure: (lab, driver, asked) => {
      const timing = {
        warmup: Math.max(asked.warmup, (WARMUP_ROUND_TRIPS * roundTripMs) / 1_000),
        seconds: Math.max(asked.seconds, (MEASURED_ROUND_TRIPS * roundTripMs) / 1_000),
      };
      const setting = { request: { hostAddress: '0.0.0.0' } };
      return withDistantClient(lab, roundTripMs, (clientNetns) =>
        onStage(lab, driver, setting, (running) =>
          act(lab, { ...running, address: HOST_ADDRESS, clientNetns }, timing),
        ),
      );
    },
  };
}

function bulk(roundTripMs: number, direction: 'up' | 'down'): Scenario {
  const way = direction === 'up' ? 'from' : 'to';
  const row = {
    name: `distant-${roundTripMs}-${direction}`,
    title: `One stream ${way} a client ${roundTripMs} ms away`,
    unit: 'Gb/s',
    headline: 'rate',
  } as const;
  return distant(row, roundTripMs, async (lab, client, timing) => {
    const options = { direction, streams: 1, counters: lab.path('counters') };
    return bulkFigures(await load(lab, client, 'bulk', timing, options));
  });
}

/** Shows that the link delays by what it should, and nothing adds to it. */
function requestResponse(roundTripMs: number): Scenario {
  const row = {
    name: `distant-${roundTripMs}-rr`,
    title: `Request/response with a client ${roundTripMs} ms away`,
    unit: '/s',
    headline: 'p50Micros',
  } as const;
  return distant(row, roundTripMs, async (lab, client, timing) =>
    operationFigures(await load(lab, client, 'rr', timing)),
  );
}

/** Near and far, there and back. */
export const DISTANT_SCENARIOS: readonly Scenario[] = [20, 100].flatMap((roundTripMs) => [
  bulk(roundTripMs, 'up'),
  bulk(roundTripMs, 'down'),
  requestResponse(roundTripMs),
]);
