// soak.test.ts: mixed load for minutes or hours: every byte is compared, and nothing may grow.
// `npm run soak -- 30` runs it for half an hour.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Program } from '../helpers/program.js';
import { Random } from '../helpers/random.js';
import { bulk, datagrams, requests, rude, short, type Ports } from './load.js';
import type { ServersApi } from './servers-program.js';
import {
  ADDRESSES,
  helperSubjects,
  librarySubject,
  shortLife,
  type Figures,
  type Subject,
} from './subjects.js';
import { trendOf } from './trend.js';

const minutes = Number(process.env['SPLICEPORT_SOAK_MINUTES']);
const ROUNDS = 24;
/** Until every pool, arena and generation of the heap has its size. */
const WARM_UP = 8;
const roundMs = (minutes * 60_000) / ROUNDS;
const seed = Number(process.env['SPLICEPORT_SOAK_SEED'] ?? Date.now() % 1_000_000);

/**
 * What a figure may grow by in all measured rounds, and still be called noise: a few bytes for each
 * of some ten thousand connections. What is called often is compiled anew for minutes, and the
 * resident has most of such code: a shim that stayed in its heap would be 12 KiB.
 */
const ALLOWED: Readonly<Record<string, Readonly<Record<keyof Figures, number>>>> = {
  library: { memoryKiB: 2_048, descriptors: 4, threads: 0, heapKiB: 256 },
  helper: { memoryKiB: 256, descriptors: 4, threads: 0, heapKiB: 0 },
  resident: { memoryKiB: 6_144, descriptors: 4, threads: 0, heapKiB: 1_536 },
};
/** By chance once in a hundred. */
const SIGNIFICANT = 2.33;

const clients = { bulk, requests, short, rude, datagrams };
/** How many clients of each kind there are at a time. */
const AT_ONCE = { bulk: 1, requests: 2, short: 4, rude: 1, datagrams: 2 };

let container: Program;
let servers: Ports;
let subjects: Subject[];
const failures: string[] = [];
const done = new Map<string, number>();

beforeAll(async () => {
  container = new Program(new URL('./servers-program.ts', import.meta.url), { ownNetns: true });
  servers = await container.api<ServersApi>().start({ addresses: ADDRESSES });
  subjects = [
    ...(await helperSubjects(container.pid, servers)),
    await librarySubject(container.pid, servers),
  ];
});
afterAll(() => container.stop());

/** Does a thing again and again until the round is over, and counts. */
async function repeat(what: string, until: number, task: () => Promise<void>): Promise<void> {
  while (performance.now() < until) {
    try {
      await task();
      done.set(what, (done.get(what) ?? 0) + 1);
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      if (failures.length > 20) return;
    }
  }
}

/** One round of everything at once. */
async function round(number: number): Promise<void> {
  const end = performance.now() + roundMs;
  const random = () => new Random(seed + number * 1_000 + Math.floor(performance.now()));
  const disturbed = subjects.filter(({ disturb }) => disturb !== undefined);
  const tasks = disturbed.flatMap((subject) => [
    ...Object.entries(clients).flatMap(([kind, client]) =>
      Array.from({ length: AT_ONCE[kind as keyof typeof clients] }, () =>
        repeat(kind, end, () => client(subject.ports, random())),
      ),
    ),
    repeat(`changes of the ${subject.name}`, end, async () => {
      await subject.disturb?.(random());
      await delay(5);
    }),
  ]);
  await Promise.all([
    ...tasks,
    repeat('helpers started and ended', end, () => shortLife(container.pid, servers)),
  ]);
}

/** What grows in a series of figures, as sentences. */
function growths(name: string, series: readonly Figures[]): string[] {
  const allowed = ALLOWED[name];
  return (['memoryKiB', 'descriptors', 'threads', 'heapKiB'] as const).flatMap((key) => {
    const values = series.flatMap((figures) => figures[key] ?? []);
    if (values.length === 0) return [];
    const { growth, significance } = trendOf(values);
    console.log(
      `${name} ${key}: ${values[0] ?? ''} … ${values.at(-1) ?? ''}, ` +
        `trend ${growth.toFixed(1)} (${significance.toFixed(1)} deviations)`,
    );
    const isGrowing = growth > (allowed?.[key] ?? 0) && significance > SIGNIFICANT;
    return isGrowing ? [`${key} of the ${name} grows by ${growth}: ${values.join(' ')}`] : [];
  });
}

test('a forwarder under mixed load loses nothing and does not grow', { retry: 0 }, async () => {
  console.log(`${minutes} minutes in ${ROUNDS} rounds, seed ${seed}`);
  const series = new Map<string, Figures[]>(subjects.map(({ name }) => [name, []]));
  for (let number = 0; number < ROUNDS && failures.length === 0; number++) {
    await round(number);
    const line: string[] = [];
    for (const subject of subjects) {
      const figures = await subject.measure();
      line.push(`${subject.name} ${figures.memoryKiB} KiB, ${figures.descriptors} descriptors`);
      if (number >= WARM_UP) series.get(subject.name)?.push(figures);
    }
    console.log(`round ${number + 1} of ${ROUNDS}: ${line.join('; ')}`);
  }
  console.log([...done].map(([what, count]) => `${count} ${what}`).join(', '));
  for (const subject of subjects) await subject.stop();
  expect(failures).toEqual([]);
  expect([...series].flatMap(([name, figures]) => growths(name, figures))).toEqual([]);
  expect([...done.values()].every((count) => count > ROUNDS)).toBe(true);
});
