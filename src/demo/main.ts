// main.ts: the demo (`npm start`). It creates a container with no other way in, forwards a host
// port to it, and prints the traffic.

import { readlinkSync } from 'node:fs';
import { Forwarder } from '../index.js';
import { startContainer, type SeenRequest } from './container.js';
import { fetchPage, readBulk, roundTrips } from './measure.js';
import { BULK_PATH, CONTAINER_PORT } from './messages.js';
import { isRerun, mayMakeNamespaces, obstacle, rerunAsNamespaceRoot } from './privileges.js';

const NEW_CONNECTIONS = 200;
const ROUND_TRIPS = 1_000;
const BULK_BYTES = 2 ** 30;
const BULK_MAX_SECONDS = 3;

function show(label: string, value: string): void {
  process.stdout.write(`  ${label.padEnd(12)}${value}\n`);
}

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

/** What to try next in a clone, such as this one. */
function showNext(): void {
  show(
    'next',
    'node lib/cli/main.js forward 8080:80 --container NAME   forward a port to your container',
  );
  show('', 'node lib/cli/main.js enable podman                      use it with rootless Podman');
  show('', 'docs/README.md                                          the documentation');
}

async function demonstrate(ending: Promise<void>): Promise<void> {
  process.stdout.write('spliceport demo\n\n');
  const container = await startContainer();
  const forwarder = new Forwarder({ netns: { pid: container.pid } });
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
    if (process.stdin.isTTY) await invite(port, ending);
  } finally {
    await forwarder.close();
    await container.stop();
  }
}

async function invite(port: number, ending: Promise<void>): Promise<void> {
  process.stdout.write(
    `\nTry it:   curl http://127.0.0.1:${port}/\n` +
      `          curl -o /dev/null http://127.0.0.1:${port}${BULK_PATH}${BULK_BYTES}\n` +
      'Press Ctrl-C to stop.\n\n',
  );
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
