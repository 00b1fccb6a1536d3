// load.ts: runs the load generator (bench/load) and ties its figures to the forwarder's processor
// time.

import { createInterface } from 'node:readline';
import type { Lab } from './lab.js';
import { Process } from './process.js';
import type { Figures, Running, Timing } from './types.js';
import { cpuSeconds } from './usage.js';

/** The port that every server in a container listens on. */
export const CONTAINER_PORT = 5201;
/** The first port that forwarders listen on. */
export const HOST_PORT = 8100;

/** How long a client may exceed its time before it counts as stuck. */
const STUCK_SECONDS = 10;

/** A line that the load generator printed. */
interface LoadEvent {
  readonly event: 'ready' | 'begin' | 'settle' | 'end';
  readonly [figure: string]: number | string;
}

/** What a client counted, and what the forwarder used in the meantime. */
export interface LoadResult {
  readonly counts: Readonly<Record<string, number>>;
  /** Processors that the forwarder kept busy; undefined without a forwarder. */
  readonly cores: number | undefined;
}

/** Reads the generator's lines; rejects if it exits without the expected one. */
class LoadEvents {
  readonly #process: Process;
  readonly #queue: LoadEvent[] = [];
  #wake: () => void = () => undefined;

  constructor(process: Process, onEvent: (event: LoadEvent) => void = () => undefined) {
    this.#process = process;
    const { stdout } = process.child;
    if (stdout === null) throw new TypeError('Expected a process whose output is read');
    const lines = createInterface({ input: stdout });
    lines.on('line', (line) => {
      const event = JSON.parse(line) as LoadEvent;
      onEvent(event);
      this.#queue.push(event);
      this.#wake();
    });
    lines.on('close', () => {
      this.#wake();
    });
  }

  async next(name: LoadEvent['event']): Promise<LoadEvent> {
    for (;;) {
      const found = this.#queue.find((event) => event.event === name);
      if (found !== undefined) {
        this.#queue.splice(0, this.#queue.indexOf(found) + 1);
        return found;
      }
      const line = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (!this.#process.running) {
        // Its last output may not have been read yet.
        await Promise.race([line, new Promise((resolve) => setTimeout(resolve, 50))]);
        if (this.#queue.length === 0) await this.#process.failsEarly();
        continue;
      }
      await Promise.race([line, this.#process.exited()]);
    }
  }
}

/** Options of the load generator, by name. */
export type LoadOptions = Readonly<Record<string, string | number>>;

function words(options: LoadOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Starts the server in the container and waits until it listens. */
export async function serve(lab: Lab, options: LoadOptions = {}): Promise<Process> {
  const server = new Process([
    ...lab.container.inside(),
    lab.loadProgram,
    'serve',
    ...words({ at: `0.0.0.0:${CONTAINER_PORT}`, counters: lab.path('counters'), ...options }),
  ]);
  await new LoadEvents(server).next('ready');
  return server;
}

/** The place that clients of this forwarder start from. */
export function clientCommand(running: Running): string[] {
  return running.clientNetns === undefined ? [] : ['nsenter', `--net=${running.clientNetns}`];
}

/** Where clients of this forwarder connect to, as `address:port`. */
export function endpoint(running: Running): string {
  return `${running.address}:${running.port}`;
}

/** Runs a client to its end. */
export async function load(
  lab: Lab,
  running: Running,
  mode: string,
  timing: Timing,
  options: LoadOptions = {},
): Promise<LoadResult> {
  const samples: { cpu: number; at: number }[] = [];
  const sample = (): void => {
    samples.push({ cpu: cpuSeconds(running.pids()), at: performance.now() });
  };
  const client = new Process([
    ...clientCommand(running),
    lab.loadProgram,
    mode,
    ...words({ to: endpoint(running), ...timing, ...options }),
  ]);
  const limitSeconds = timing.warmup + timing.seconds + STUCK_SECONDS;
  const watchdog = setTimeout(() => {
    client.giveUp(`still not done after ${limitSeconds} s`);
  }, limitSeconds * 1_000);
  const end = await new LoadEvents(client, sample).next('end').finally(() => {
    clearTimeout(watchdog);
  });
  await client.exited();
  return { counts: numbersOf(end), cores: busyCores(running, samples) };
}

function busyCores(
  running: Running,
  samples: readonly { cpu: number; at: number }[],
): number | undefined {
  const [begin, end] = samples;
  if (begin === undefined || end === undefined || running.pids().length === 0) return undefined;
  return (end.cpu - begin.cpu) / ((end.at - begin.at) / 1_000);
}

function numbersOf(event: LoadEvent): Record<string, number> {
  return Object.fromEntries(
    Object.entries(event).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  );
}

/** A client that is running, for work that goes on next to other work. */
export interface HeldLoad {
  readonly pid: number;
  readonly begun: Readonly<Record<string, number>>;
  /** Waits until it has finished by itself; returns what it counted. */
  ended(): Promise<Readonly<Record<string, number>>>;
  /** Lets it finish; returns what it counted. */
  finish(): Promise<Readonly<Record<string, number>>>;
  /** Kills it and all that it has started. */
  kill(): Promise<void>;
}

/**
 * Starts a client that runs until it is told to finish; `first` is the event that it begins with.
 */
export async function hold(
  lab: Lab,
  command: readonly string[],
  mode: string,
  options: LoadOptions,
  first: 'begin' | 'ready' = 'begin',
): Promise<HeldLoad> {
  const client = new Process([...command, lab.loadProgram, mode, ...words(options)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const events = new LoadEvents(client);
  const kill = (): Promise<void> => client.stop(() => client.child.kill('SIGKILL'));
  let begun: Record<string, number>;
  try {
    begun = numbersOf(await events.next(first));
  } catch (error) {
    await kill();
    throw error;
  }
  const ended = async (): Promise<Record<string, number>> => {
    const counts = numbersOf(await events.next('end'));
    await client.exited();
    return counts;
  };
  return {
    pid: client.pid,
    begun,
    kill,
    ended,
    finish: () => {
      client.child.stdin?.end();
      return ended();
    },
  };
}

/** Bytes and their cost. */
export function bulkFigures(result: LoadResult): Figures {
  const { seconds = 1, bytes = 0, errors = 0 } = result.counts;
  if (bytes === 0) throw new Error('nothing arrived');
  const figures: Figures = { rate: (bytes * 8) / seconds / 1e9, errors };
  if (result.cores !== undefined) figures.cpu = result.cores / (bytes / seconds / 1e9);
  return figures;
}

/** Operations, their latency and their cost. */
export function operationFigures(result: LoadResult): Figures {
  const { seconds = 1, operations = 0, errors, p50Micros, p99Micros, sent, lost } = result.counts;
  if (operations === 0) throw new Error('nothing arrived');
  const figures: Figures = { rate: operations / seconds };
  if (result.cores !== undefined) figures.cpu = (result.cores / (operations / seconds)) * 1e6;
  if (p50Micros !== undefined) figures.p50Micros = p50Micros;
  if (p99Micros !== undefined) figures.p99Micros = p99Micros;
  if (errors !== undefined) figures.errors = errors;
  if (sent !== undefined && lost !== undefined) {
    figures.lossPercent = sent > 0 ? (lost / sent) * 100 : 0;
  }
  return figures;
}
