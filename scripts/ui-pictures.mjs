// ui-pictures.mjs: takes the pictures of `spliceport ui` that docs/ shows, of forwarders that it
// makes up. Needs Chromium: apt-get install chromium. `node scripts/ui-pictures.mjs [FOLDER]`

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const target = process.argv[2] ?? 'docs/images';
/** How much of the time is played before the pictures. */
const MINUTES = 4;

const folder = mkdtempSync(join(tmpdir(), 'spliceport-pictures-'));
const helper = join(folder, 'fake-forwarder.mjs');
await build({
  entryPoints: ['test/helpers/fake-forwarder.ts'],
  outfile: helper,
  bundle: true,
  platform: 'node',
  format: 'esm',
});
const { FakeForwarder, forwardWith, sessionWith, statsWith } = await import(pathToFileURL(helper));

const sockets = join(folder, 'sockets');
const services = [
  {
    pid: 4281,
    id: 'a3f1c09be7d2',
    ports: [
      [8080, 80],
      [8443, 443],
    ],
  },
  { pid: 4390, id: '5be00d7a91c4', ports: [[5432, 5432]] },
  {
    pid: 4512,
    id: 'c81e728d9d4c',
    ports: [
      [9000, 9000],
      [9001, 9001],
    ],
  },
  {
    pid: 5120,
    id: '',
    ports: [
      [5353, 53],
      [2222, 22],
    ],
  },
];
const names = { a3f1c09be7d2: 'web', '5be00d7a91c4': 'postgres', c81e728d9d4c: 'minio' };

/** What the figures of a second are, by the host port: bytes both ways, and sessions. */
const trafficOf = {
  8080: [0.9e6, 14e6, 38],
  8443: [1.4e6, 22e6, 55],
  5432: [0.6e6, 2.2e6, 1],
  9000: [7e6, 1.2e6, 2],
  9001: [0, 0, 0],
  5353: [9e3, 24e3, 12],
  2222: [1.2e3, 3e3, 0],
};

const fakes = [];
for (const { pid, id, ports } of services) {
  const fake = await FakeForwarder.start(sockets, pid);
  fake.info = {
    program: id === '' ? 'spliceport forward' : 'rootlessport',
    uptimeMs: 3_600_000 * (pid % 90),
    ...(id !== '' && { container: { id } }),
  };
  fake.forwards = ports.map(([port, to], index) =>
    forwardWith({
      id: index + 1,
      protocol: port === 5353 ? 'udp' : 'tcp',
      host: { address: '0.0.0.0', port, dualStack: port < 9_000 },
      container: { address: id === '' ? '127.0.0.1' : '10.88.0.' + (pid % 90), port: to },
      netnsPath: '/run/netns/dns',
    }),
  );
  fakes.push(fake);
}

const totals = new Map();
let second = 0;
function play() {
  second += 1;
  for (const [index, fake] of fakes.entries()) {
    for (const { id, host } of fake.forwards) {
      const [up, down, rate] = trafficOf[host.port];
      const wave =
        1 + 0.45 * Math.sin(second / 19 + index * 2) + 0.25 * Math.sin(second / 4.3 + id);
      const burst = host.port === 9000 && second % 90 > 45 ? 2.4 : 1;
      const key = `${index}/${id}`;
      const before = totals.get(key) ?? {
        up: 8e9 / (index + 1),
        down: 4e10 / (index + 1),
        sessions: 1e4,
        failed: 0,
      };
      const now = {
        up: before.up + Math.round(up * wave * burst * (0.85 + Math.random() * 0.3)),
        down: before.down + Math.round(down * wave * (0.85 + Math.random() * 0.3)),
        sessions: before.sessions + Math.round(rate * wave),
        failed: before.failed + (host.port === 9001 && second % 7 === 0 ? 2 : 0),
      };
      totals.set(key, now);
      fake.stats.set(
        id,
        statsWith({
          sessionsOpen: fake.sessions.filter(({ forwardId }) => forwardId === id).length,
          sessionsTotal: now.sessions,
          bytesToContainer: now.up,
          bytesToHost: now.down,
          connectFailures: now.failed,
          ...(now.failed > 0 && { connectError: 'ECONNREFUSED' }),
          sessionsDenied: host.port === 2222 ? 12 : 0,
          connectLatency: [now.sessions],
          connectMicrosTotal: now.sessions * 83,
        }),
      );
    }
  }
}

for (const [index, fake] of fakes.entries()) {
  const forwards = fake.forwards.filter(({ host }) => host.port !== 9001);
  fake.sessions = Array.from({ length: [64, 9, 14, 6][index] }, (_, number) => {
    const forward = forwards[number % forwards.length];
    return sessionWith(number * 37 + index, {
      forwardId: forward.id,
      protocol: forward.protocol,
      target: forward.container,
      source: { address: forward.container.address, port: 33_000 + number * 7 },
      bytesToContainer: Math.round(1.6 ** (number % 31) * 900),
      bytesToHost: Math.round(1.7 ** (number % 33) * 1_200),
      ageMs: (number * number * 977 + 4_000) % 7_000_000,
      state: number % 17 === 5 ? 'half-closed' : 'open',
    });
  });
}

const engine = join(folder, 'podman');
writeFileSync(
  engine,
  `#!/bin/sh\n${Object.entries(names)
    .map(([id, name]) => `echo ${id} ${name}`)
    .join('\n')}\n`,
  { mode: 0o755 },
);
play();
const ui = spawn(process.execPath, ['lib/cli/main.js', 'ui', '--no-open'], {
  env: { ...process.env, SPLICEPORT_CONTROL_DIR: sockets, PATH: `${folder}:${process.env.PATH}` },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [line] = await once(ui.stdout.setEncoding('utf8'), 'data');
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
mkdirSync(target, { recursive: true });
try {
  const context = await browser.newContext({
    viewport: { width: 1200, height: 720 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.goto(line.trim());
  const playing = setInterval(play, 1_000);
  await delay(MINUTES * 60_000);
  await page.screenshot({ path: `${target}/ui-light.png` });
  await page.setViewportSize({ width: 390, height: 760 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: `${target}/ui-phone.png` });
  clearInterval(playing);
} finally {
  await browser.close();
  ui.kill();
  for (const fake of fakes) await fake[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
}
