// life.ts: what a forwarder costs while little happens: idle connections, and reloads under load.

import { setTimeout as delay } from 'node:timers/promises';
import { endpoint, hold, clientCommand, load, operationFigures } from '../load.js';
import type { Figures, Running, Scenario } from '../types.js';
import { descriptorCount, privateDirtyKib } from '../usage.js';
import { onStage } from './stage.js';

/** Given to a program after it is ready, for what it does then. */
const SETTLE_MS = 200;
const RELOAD_PAUSE_MS = 20;

function life(
  scenario: Pick<Scenario, 'name' | 'title' | 'headline' | 'byDefault' | 'measure'> &
    Partial<Scenario>,
): Scenario {
  return { group: 'life', protocol: 'tcp', unit: '/s', ...scenario };
}

interface Holding {
  readonly memoryKib: number;
  readonly descriptors: number;
}

function look(running: Running): Holding {
  const pids = running.pids();
  return { memoryKib: privateDirtyKib(pids), descriptors: descriptorCount(pids) };
}

function idle(connections: number, byDefault: boolean): Scenario {
  const count = connections.toLocaleString('en-US');
  return life({
    name: `idle-${connections}`,
    title: `${count} idle connections, under a limit of 20,000 descriptors`,
    headline: 'memoryPerConnection',
    byDefault,
    maxRounds: 2,
    suits: (driver) => driver.kind !== 'direct',
    measure: (lab, driver) =>
      onStage(lab, driver, {}, async (running): Promise<Figures> => {
        const command = clientCommand(running);
        const to = endpoint(running);
        // What the first connection brings into being is not what each one costs.
        await (await hold(lab, command, 'idle', { to, connections: 1 })).finish();
        const before = look(running);
        const client = await hold(lab, command, 'idle', { to, connections });
        await delay(SETTLE_MS);
        const during = look(running);
        const held = client.begun['held'] ?? 0;
        const { errors = 0 } = await client.finish();
        return {
          memoryPerConnection: ((during.memoryKib - before.memoryKib) * 1024) / held,
          fdsPerConnection: (during.descriptors - before.descriptors) / held,
          memoryKib: during.memoryKib,
          held,
          errors,
        };
      }),
  });
}

const RELOAD = life({
  name: 'reload',
  title: 'Short connections of 16 clients while the target is set again every 20 ms',
  headline: 'errors',
  byDefault: false,
  suits: (driver) => driver.reloads,
  measure: (lab, driver, timing) =>
    onStage(lab, driver, {}, async (running) => {
      const socket = running.reloadSocket ?? '';
      const reloads = await hold(lab, [], 'reload', { socket, 'pause-ms': RELOAD_PAUSE_MS });
      const result = await load(lab, running, 'crr', timing, { clients: 16 });
      const counts = await reloads.finish();
      if (counts['errors'] !== 0) throw new Error(`${counts['errors'] ?? '?'} reloads failed`);
      return { ...operationFigures(result), reloads: counts['reloads'] ?? 0 };
    }),
});

/** The rows of a forwarder with little to do. */
export const LIFE_SCENARIOS: readonly Scenario[] = [idle(1_000, true), idle(9_000, false), RELOAD];
