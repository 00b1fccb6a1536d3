// iperf3.ts: bulk by iperf3, as others measure it. Its runs take whole seconds and have no warm-up.

import type { Lab } from '../lab.js';
import type { Process } from '../process.js';
import { CONTAINER_PORT } from '../load.js';
import { loadBy, serveBy } from '../tools.js';
import type { Figures, Running, Scenario, Timing } from '../types.js';
import { onStage } from './stage.js';

interface Sum {
  readonly bytes: number;
  readonly seconds: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}
interface Report {
  readonly end: { readonly sum_received: Sum; readonly sum?: Sum };
}

function serve(lab: Lab): Promise<Process> {
  return serveBy(lab, 'tcp', 'iperf3', '-s', '-p', String(CONTAINER_PORT));
}

async function run(
  running: Running,
  timing: Timing,
  ...options: string[]
): Promise<{ report: Report; cpu: number | undefined }> {
  const seconds = String(Math.max(1, Math.round(timing.seconds)));
  const target = ['-c', running.address, '-p', String(running.port)];
  const result = await loadBy(running, 'iperf3', ...target, '-t', seconds, '-J', ...options);
  return { report: JSON.parse(result.output) as Report, cpu: result.cpu };
}

function bulk(direction: 'up' | 'down', streams: number, byDefault: boolean): Scenario {
  const way = direction === 'up' ? 'to the container' : 'to the host';
  return {
    name: `iperf3-${direction}-${streams}`,
    title: `iperf3 ${way}, ${streams} stream${streams > 1 ? 's' : ''}`,
    group: 'tcp',
    protocol: 'tcp',
    unit: 'Gb/s',
    headline: 'rate',
    byDefault,
    needs: ['iperf3'],
    measure: (lab, driver, timing) =>
      onStage(lab, driver, { server: serve }, async (running) => {
        const reverse = direction === 'down' ? ['-R'] : [];
        const { report, cpu } = await run(running, timing, '-P', String(streams), ...reverse);
        const { bytes, seconds } = report.end.sum_received;
        const figures: Figures = { rate: (bytes * 8) / seconds / 1e9 };
        if (cpu !== undefined) figures.cpu = cpu / (bytes / 1e9);
        return figures;
      }),
  };
}

/** Its control connection is TCP, on the same port. */
const DATAGRAMS: Scenario = {
  name: 'iperf3-udp',
  title: 'iperf3 -u, one stream of 1,400 B datagrams at 1 Gb/s',
  group: 'udp',
  protocol: 'udp',
  unit: '/s',
  headline: 'rate',
  byDefault: false,
  needs: ['iperf3'],
  suits: (driver) => driver.both,
  measure: (lab, driver, timing) =>
    onStage(lab, driver, { server: serve, request: { protocol: 'both' } }, async (running) => {
      const { report, cpu } = await run(running, timing, '-u', '-b', '1G', '-l', '1400');
      const { packets = 0, lost_packets: lost = 0, seconds = 1 } = report.end.sum ?? {};
      const arrived = packets - lost;
      const figures: Figures = { rate: arrived / seconds, lossPercent: (lost / packets) * 100 };
      if (cpu !== undefined) figures.cpu = (cpu / arrived) * 1e6;
      return figures;
    }),
};

/** iperf3's rows. */
export const IPERF3_SCENARIOS: readonly Scenario[] = [
  ...[1, 8, 64].flatMap((streams) => [
    bulk('up', streams, streams === 1),
    bulk('down', streams, streams === 1),
  ]),
  DATAGRAMS,
];
