// main.ts: the demo (`npm start`). It creates a container with no other way in, forwards a host
// port to it, and prints the traffic.

import { readlinkSync } from 'node:fs';
import { openControlSocket, type ControlSocket } from '../control/index.js';
import { Forwarder } from '../index.js';
import { startContainer, type SeenRequest } from './demo-container.js';
import { fetchPage, readBulk, roundTrips } from './measure.js';
import { BULK_PATH, CONTAINER_PORT } from './container-messages.js';
import { paint } from '../paint.js';
import { show, showCommands } from './demo-output.js';
import { isRerun, mayMakeNamespaces, obstacle, rerunAsNamespaceRoot } from './privileges.js';

const NEW_CONNECTIONS = 200;
const ROUND_TRIPS = 1_000;
const BULK_BYTES = 2 ** 30;
const BULK_MAX_SECONDS = 3;

function describe({ line, client, agent }: SeenRequest): string {
  return `${line}  from ${client}  ${agent}`.trimEnd();
}

async function showTraffic(port: number): Promise<void> {
  const { status, body } = await fetchPage(port, '/hello');
  show('answer', `${status} ${body.split('\n', 1).join()}`);
  const opened = await roundTrips(port, NEW_CONNECTIONS, { keepAlive: false });
  show(
    'new',
    `${median(opened)} µs, median of ${NEW_CONNECTIONS} HTTP requests on a connection each`,
  );
  const kept = await roundTrips(port, ROUND_TRIPS, { keepAlive: true });
  show(
    'kept',
    `${median(kept)} µs, median of ${count(ROUND_TRIPS)} HTTP requests on one connection`,
  );
  const { bytes, seconds } = await readBulk(port, BULK_BYTES, BULK_MAX_SECONDS);
  const gigabits = (bytes * 8) / seconds / 1e9;
  show(
    'bulk',
    `${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(2)} s: ${gigabits.toFixed(1)} Gb/s`,
  );
}

function showTotals(forwarder: Forwarder): void {
  const { sessionsTotal, bytesToContainer, bytesToHost } = forwarder.stats();
  const bytes = `${count(bytesToContainer)} bytes to the container, ${count(bytesToHost)} to the host`;
  show('relayed', `${count(sessionsTotal)} connections; ${bytes}`);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function median(values: readonly number[]): string {
  return (values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(0);
}

/** Resolves at the first signal to stop, or when the process that started this one has exited. */
function askedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) {
      process.on(event, () => resolve());
    }
  });
}

const program = 'node lib/cli/main.js';

/** What to try next in a clone, such as this one. */
function showNext(): void {
  showCommands('next', [
    [`${program} forward 8080:80 --container NAME`, 'forward a port to your container'],
    [
      `${program} enable podman --dry-run`,
      'use it with rootless Podman; without --dry-run, for real',
    ],
    [`${program} doctor`, 'look for what keeps it from working here'],
    ['docs/README.md', 'the documentation'],
  ]);
}

/** Lets the commands of the command line see the demo. It works without. */
function openControl(forwarder: Forwarder, pid: number): ControlSocket | undefined {
  try {
    return openControlSocket(forwarder, { program: 'spliceport demo', container: { pid } });
  } catch (error) {
    show('control', `no control socket: ${(error as Error).message}`);
    return undefined;
  }
}

async function demonstrate(ending: Promise<void>): Promise<void> {
  process.stdout.write(`${paint(process.stdout, 'bold', 'spliceport demo')}\n\n`);
  const container = await startContainer();
  const forwarder = new Forwarder({ netns: { pid: container.pid } });
  const control = openControl(forwarder, container.pid);
  try {
    const forward = await forwarder.add({
      host: { address: '127.0.0.1', port: 0 },
      container: { port: CONTAINER_PORT },
    });
    const { port } = forward.host;
    show('host', readlinkSync('/proc/self/ns/net'));
    show(
      'container',
      `${container.netns}, process ${container.pid}, no interface but its loopback`,
    );
    show(
      'forward',
      `127.0.0.1:${port} on the host -> 127.0.0.1:${CONTAINER_PORT} in the container`,
    );
    container.onRequest = (request) => show('it saw', describe(request));
    await Promise.race([showTraffic(port), ending]);
    showTotals(forwarder);
    showNext();
    if (process.stdin.isTTY) await invite({ port, isListed: control !== undefined }, ending);
  } finally {
    control?.close();
    await forwarder.close();
    await container.stop();
  }
}

async function invite(
  { port, isListed }: { readonly port: number; readonly isListed: boolean },
  ending: Promise<void>,
): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  process.stdout.write('\n');
  showCommands('try it', [
    [`curl ${url}/`, 'the server answers from the container'],
    [`curl -o /dev/null ${url}${BULK_PATH}${BULK_BYTES}`, 'a gigabyte'],
    ...(isListed
      ? [
          [`${program} top`, 'in another terminal: the traffic, live'],
          [`${program} ls`, 'the forward'],
        ]
      : []),
  ]);
  process.stdout.write('\nPress Ctrl-C to stop.\n\n');
  await ending;
}

async function main(): Promise<void> {
  const granted = mayMakeNamespaces();
  const reason =
    isRerun() && !granted ? 'Being root of a user namespace gave it no privileges.' : obstacle();
  if (reason !== undefined) {
    process.stderr.write(`spliceport demo: ${reason}\n`);
    process.exitCode = 1;
  } else if (granted) {
    await demonstrate(askedToEnd());
    // Nothing else is open any more.
    if (process.connected) process.disconnect();
  } else {
    rerunAsNamespaceRoot();
  }
}

await main();
