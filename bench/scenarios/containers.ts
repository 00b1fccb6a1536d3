// containers.ts: what a container costs, besides its traffic: starts and ends, memory, reloads, and
// what becomes of them if the resident, the process that helpers share, is killed.

import { setTimeout as delay } from 'node:timers/promises';
import type { Lab } from '../lab.js';
import { endpoint, hold, HOST_PORT, load, serve } from '../load.js';
import { callResident, killResidents } from '../residents.js';
import type { Driver, Figures, ForwardRequest, Helpers, Scenario, Timing } from '../types.js';
import { memoryOf, privateDirtyKib } from '../usage.js';
import { requestOf } from './stage.js';

/** Given to a program after it is ready, for what it does then. */
const SETTLE_MS = 200;
/** Given to many programs. */
const MANY_SETTLE_MS = 1_000;
/** So many are started at a time where the start is not what is measured. */
const TOGETHER = 10;
const RELOADS = 20;
const RELOAD_PAUSE_MS = 20;
// Below the ports that clients are given, some of which are always taken.
const RANGE = { hostPort: 9_000, containerPort: 20_480, count: 1_000 };
const UNDER_LOAD = 20;
/** Long enough for two kills, however short the other measurements are. */
const KILL_SECONDS = 3;

function containers(
  scenario: Pick<Scenario, 'name' | 'title' | 'headline' | 'measure'> & Partial<Scenario>,
): Scenario {
  return {
    group: 'containers',
    protocol: 'tcp',
    unit: '/s',
    byDefault: true,
    suits: (driver) => driver.startMany !== undefined,
    ...scenario,
  };
}

/** Requests for so many containers, each with a port of its own. */
export function requestsFor(count: number, first = 0): ForwardRequest[] {
  return Array.from({ length: count }, (_, i) =>
    requestOf({ name: `container-${first + i}`, hostPort: HOST_PORT + first + i }),
  );
}

function startMany(
  lab: Lab,
  driver: Driver,
  requests: readonly ForwardRequest[],
  together?: number,
): Promise<Helpers> {
  if (driver.startMany === undefined) throw new TypeError(`${driver.label} is no helper`);
  return driver.startMany(lab, requests, together);
}

/** Runs `act` with helpers of so many containers, in place of all that was there. */
async function withHelpers<T>(
  lab: Lab,
  driver: Driver,
  count: number,
  act: (helpers: Helpers) => Promise<T>,
): Promise<T> {
  lab.renewContainer();
  return withMoreHelpers(lab, driver, requestsFor(count), act);
}

async function withMoreHelpers<T>(
  lab: Lab,
  driver: Driver,
  requests: readonly ForwardRequest[],
  act: (helpers: Helpers) => Promise<T>,
): Promise<T> {
  const helpers = await startMany(lab, driver, requests, TOGETHER);
  try {
    return await act(helpers);
  } finally {
    await helpers.stop();
  }
}

/** Start and end of a program that starts alone. */
function cold(
  name: string,
  title: string,
  request: Partial<ForwardRequest>,
  suits: (driver: Driver) => boolean,
): Scenario {
  return containers({
    name,
    title,
    headline: 'readyMs',
    suits,
    measure: async (lab, driver) => {
      lab.renewContainer();
      const running = await driver.start(lab, requestOf(request));
      try {
        await delay(SETTLE_MS);
        const memoryKib = privateDirtyKib(running.pids());
        if (memoryKib === 0) throw new Error('ended as soon as it was ready');
        const begunAt = performance.now();
        await running.stop();
        return { readyMs: running.readyMs, memoryKib, stopMs: performance.now() - begunAt };
      } finally {
        await running.stop();
      }
    },
  });
}

/** Start and end of a helper beside the one of another container. */
function warm(name: string, title: string, request: Partial<ForwardRequest>): Scenario {
  return containers({
    name,
    title,
    headline: 'readyMs',
    measure: (lab, driver) =>
      withHelpers(lab, driver, 1, async () => {
        await delay(SETTLE_MS);
        const second = { ...requestOf({ hostPort: HOST_PORT + 1, ...request }), name: 'second' };
        return withMoreHelpers(lab, driver, [second], async (helpers) => {
          await delay(SETTLE_MS);
          const memoryKib = privateDirtyKib(helpers.ownPids());
          const { goneMs } = await helpers.end();
          return { readyMs: helpers.readyMs, goneMs, memoryKib };
        });
      }),
  });
}

const FIFTY = containers({
  name: 'fifty',
  title: '50 containers at once, until all are ready',
  headline: 'readyMs',
  measure: async (lab, driver) => {
    lab.renewContainer();
    const helpers = await startMany(lab, driver, requestsFor(50));
    await helpers.stop();
    return { readyMs: helpers.readyMs };
  },
});

/** Has a resident serve the containers, where the program has one. */
async function withResident(lab: Lab, driver: Driver): Promise<void> {
  if (driver.hasResident?.() !== true) return;
  if (!(await callResident(lab.userFolders()['XDG_RUNTIME_DIR'] ?? ''))) {
    throw new Error('there is no resident');
  }
}

/** Memory with the resident, and again when it has left. */
async function lookAtMemory(lab: Lab, driver: Driver, helpers: Helpers, count: number) {
  await withResident(lab, driver);
  await delay(MANY_SETTLE_MS);
  const each = memoryOf(helpers.ownPids());
  const all = memoryOf(helpers.pids());
  const figures: Figures = {
    eachKib: each.privateDirty / count,
    eachPssKib: each.pss / count,
    allKib: all.privateDirty,
    allPssKib: all.pss,
  };
  if ((await killResidents()) === 0) return figures;
  const alone = memoryOf(helpers.ownPids());
  return { ...figures, aloneKib: alone.privateDirty, alonePssKib: alone.pss };
}

function memory(count: number, byDefault: boolean): Scenario {
  return containers({
    name: `memory-${count}`,
    title: `Memory of ${count === 1 ? 'one idle container' : `${count} idle containers`}`,
    headline: 'eachKib',
    byDefault,
    maxRounds: 3,
    measure: (lab, driver) =>
      withHelpers(lab, driver, count, (helpers) => lookAtMemory(lab, driver, helpers, count)),
  });
}

/** Sends reload requests; the time that one takes, in milliseconds. */
async function reload(lab: Lab, socket: string | undefined, count: number): Promise<number> {
  if (socket === undefined) throw new TypeError('Expected a program that takes reloads');
  const options = { socket, count, 'pause-ms': RELOAD_PAUSE_MS };
  const client = await hold(lab, [], 'reload', options);
  const { errors, p50Micros = NaN } = await client.ended();
  if (errors !== 0) throw new Error(`${errors ?? '?'} reloads failed`);
  return p50Micros / 1e3;
}

const RELOAD_WARM = containers({
  name: 'reload-warm',
  title: `A reload: the median of ${RELOADS}, the first one left out`,
  headline: 'reloadMs',
  measure: (lab, driver) =>
    withHelpers(lab, driver, 1, async ({ reloadSocket }) => {
      await reload(lab, reloadSocket, 1);
      return { reloadMs: await reload(lab, reloadSocket, RELOADS) };
    }),
});

const RELOAD_COLD = containers({
  name: 'reload-cold',
  title: 'The first reload after the resident process has ended',
  headline: 'reloadMs',
  measure: (lab, driver) =>
    withHelpers(lab, driver, 1, async ({ reloadSocket }) => {
      await withResident(lab, driver);
      await delay(SETTLE_MS);
      await killResidents();
      return { reloadMs: await reload(lab, reloadSocket, 1) };
    }),
});

const RELOAD_ASKED = containers({
  name: 'reload-asked',
  title: `A reload while the resident process serves the container: the median of ${RELOADS}`,
  headline: 'reloadMs',
  measure: (lab, driver) =>
    withHelpers(lab, driver, 1, async ({ reloadSocket }) => {
      await withResident(lab, driver);
      await reload(lab, reloadSocket, 1);
      return { reloadMs: await reload(lab, reloadSocket, RELOADS) };
    }),
});

const GONE = containers({
  name: 'gone',
  title: 'From the end of a container until its port is free',
  headline: 'goneMs',
  measure: (lab, driver) =>
    withHelpers(lab, driver, 1, async (helpers) => {
      await delay(SETTLE_MS);
      return helpers.end();
    }),
});

interface Killing {
  readonly lab: Lab;
  readonly driver: Driver;
  readonly helpers: Helpers;
}

/** Kills the resident twice while clients are at work, with a reload after each. */
async function killTwice({ lab, driver, helpers }: Killing, seconds: number): Promise<Figures> {
  const figures: Figures = {};
  for (const socket of helpers.reloadSockets.slice(0, 2)) {
    await withResident(lab, driver);
    await delay((seconds * 1_000) / 3);
    if ((await killResidents()) === 0) throw new Error('there was no resident to kill');
    figures.reloadMs = await reload(lab, socket, 1);
  }
  return figures;
}

async function killUnderLoad(killing: Killing, timing: Timing): Promise<Figures> {
  const { lab, helpers } = killing;
  const seconds = Math.max(timing.seconds, KILL_SECONDS);
  const to = endpoint(helpers);
  const sessions = await hold(lab, [], 'echo', { to, sessions: UNDER_LOAD, ports: UNDER_LOAD });
  const options = { clients: 16, ports: UNDER_LOAD, ...timing, seconds };
  const clients = load(lab, helpers, 'crr', options);
  const [{ counts }, figures] = await Promise.all([clients, killTwice(killing, seconds)]);
  const { held = 0, broken = 0, blocks = 0 } = await sessions.finish();
  if (held !== UNDER_LOAD || blocks === 0) throw new Error('no session was live');
  const { operations = 0, errors = 0, slowestMs = NaN } = counts;
  return { ...figures, rate: operations / seconds, errors, broken, held, slowestMs };
}

const KILL_RESIDENT = containers({
  name: 'kill-resident',
  title: `The resident process is killed twice: ${UNDER_LOAD} containers, 16 clients, ${UNDER_LOAD} live sessions`,
  headline: 'errors',
  maxRounds: 10,
  suits: (driver) => driver.hasResident?.() ?? false,
  measure: async (lab, driver, timing) => {
    lab.renewContainer();
    const server = await serve(lab);
    try {
      return await withMoreHelpers(lab, driver, requestsFor(UNDER_LOAD), (helpers) =>
        killUnderLoad({ lab, driver, helpers }, timing),
      );
    } finally {
      await server.stop();
    }
  },
});

/** The rows of containers' lives. */
export const CONTAINER_SCENARIOS: readonly Scenario[] = [
  cold('ready-cold', 'One port, and no other container', {}, (driver) => driver.kind !== 'direct'),
  warm('ready-warm', 'One port, beside another container', {}),
  cold(
    'range-cold',
    'A range of 1,000 ports, and no other container',
    RANGE,
    (driver) => driver.ranges,
  ),
  warm('range-warm', 'A range of 1,000 ports, beside another container', RANGE),
  FIFTY,
  memory(1, true),
  memory(50, true),
  memory(200, false),
  RELOAD_WARM,
  RELOAD_COLD,
  RELOAD_ASKED,
  GONE,
  KILL_RESIDENT,
];
