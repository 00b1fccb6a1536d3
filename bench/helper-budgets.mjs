// helper-budgets.mjs: what a user waits for, and what a container costs while it runs. Measures libexec/rootlessport
// beside Podman's own helper and a bare `node -e 0`, in turns within one run, and holds it against its budgets.
//
//   node bench/helper-budgets.mjs [--rounds N] [--json]
//
// Needs root, or the right to make user namespaces. Podman's own helper is left out where it is not installed.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const self = fileURLToPath(import.meta.url);
const ours = fileURLToPath(new URL('../libexec/rootlessport', import.meta.url));
const packaged = ['/usr/lib/podman/rootlessport', '/usr/libexec/podman/rootlessport'].find((path) =>
  existsSync(path),
);

const BUDGETS = {
  readyOverBareMs: 12,
  privateDirtyKiB: 7_000,
  rangeOfPackaged: 0.8,
  goneMs: 100,
};
const RANGE_PORTS = 1_000;
/** Time for threads to come to rest before memory is read. */
const REST_MS = 150;

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '21' }, json: { type: 'boolean', default: false } },
});

// What NODE_OPTIONS and its like cost is no part of the comparison.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')),
);

const now = () => performance.now();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The process and all that it started. */
function familyOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  return [pid, ...children.filter(Boolean).flatMap((child) => familyOf(Number(child)))];
}

/** Sum over the process and all that it started, whatever thread started it. */
function privateDirtyKiB(pid) {
  const family = new Set();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ');
    for (const child of children.filter(Boolean))
      for (const one of familyOf(child)) family.add(one);
  }
  return [pid, ...family]
    .map((one) => readFileSync(`/proc/${one}/smaps_rollup`, 'utf8'))
    .reduce((sum, rollup) => sum + Number(/^Private_Dirty:\s+(\d+)/m.exec(rollup)[1]), 0);
}

/** The first of `count` ports that are free now. */
async function freePorts(count) {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 15_000);
    const servers = Array.from({ length: count }, () => createServer());
    const results = await Promise.allSettled(
      servers.map((server, index) => once(server.listen(first + index), 'listening')),
    );
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    if (results.every(({ status }) => status === 'fulfilled')) return first;
  }
}

async function bareNode() {
  const start = now();
  const child = spawn(process.execPath, ['-e', '0'], { env, stdio: 'ignore' });
  await once(child, 'exit');
  return { wholeMs: now() - start };
}

async function bareNodeMemory() {
  const program = 'setInterval(() => {}, 1e9); fs.writeSync(1, "1")';
  const child = spawn(process.execPath, ['-e', program], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  await pause(REST_MS);
  const dirtyKiB = privateDirtyKiB(child.pid);
  child.kill();
  await once(child, 'exit');
  return { dirtyKiB };
}

async function helper(command, netnsPath, ports, folder) {
  const hostPort = await freePorts(ports);
  const mapping = {
    host_ip: '',
    container_port: 80,
    host_port: hostPort,
    range: ports,
    protocol: 'tcp',
  };
  const config = {
    Mappings: [mapping],
    NetNSPath: netnsPath,
    ExitFD: 3,
    ReadyFD: 4,
    TmpDir: folder,
    ChildIP: '',
    ContainerID: 'bench',
    RootlessCNI: true,
  };
  const start = now();
  const child = spawn(command, [], {
    argv0: 'rootlessport',
    env,
    stdio: ['pipe', 'pipe', 'ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(() => now());
  child.stdin.end(JSON.stringify(config));
  const said = await Promise.race([
    once(child.stdio[4], 'data').then(([data]) => String(data)),
    once(child.stdout, 'data').then(([data]) => `${command}: ${String(data)}`),
  ]);
  const readyMs = now() - start;
  if (said !== '1') throw new Error(said);
  await pause(REST_MS);
  const dirtyKiB = privateDirtyKiB(child.pid);
  const end = now();
  child.stdio[3].destroy();
  return { readyMs, dirtyKiB, goneMs: (await exited) - end };
}

async function measure(netnsPath, folder) {
  const programs = {
    'node -e 0': bareNode,
    'node, idle': bareNodeMemory,
    'spliceport, 1 port': () => helper(ours, netnsPath, 1, folder),
    [`spliceport, ${RANGE_PORTS} ports`]: () => helper(ours, netnsPath, RANGE_PORTS, folder),
  };
  if (packaged !== undefined) {
    programs['packaged, 1 port'] = () => helper(packaged, netnsPath, 1, folder);
    programs[`packaged, ${RANGE_PORTS} ports`] = () =>
      helper(packaged, netnsPath, RANGE_PORTS, folder);
  }
  const samples = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [name, run] of Object.entries(programs)) samples[name].push(await run());
  }
  return Object.fromEntries(
    Object.entries(samples).map(([name, runs]) => [
      name,
      Object.fromEntries(
        Object.keys(runs[0]).map((key) => [key, median(runs.map((run) => run[key]))]),
      ),
    ]),
  );
}

function verdicts(medians) {
  const one = medians['spliceport, 1 port'];
  const range = medians[`spliceport, ${RANGE_PORTS} ports`];
  const packagedRange = medians[`packaged, ${RANGE_PORTS} ports`];
  const rows = [
    [
      'ready, beyond bare node (ms)',
      one.readyMs - medians['node -e 0'].wholeMs,
      BUDGETS.readyOverBareMs,
    ],
    ['private dirty memory (KiB)', one.dirtyKiB, BUDGETS.privateDirtyKiB],
    ['gone after ExitFD ends (ms)', one.goneMs, BUDGETS.goneMs],
  ];
  if (packagedRange !== undefined) {
    const ratio = range.readyMs / packagedRange.readyMs;
    rows.push([`ready with ${RANGE_PORTS} ports, of packaged`, ratio, BUDGETS.rangeOfPackaged]);
  }
  return rows.map(([what, measured, budget]) => ({
    what,
    measured,
    budget,
    holds: measured <= budget,
  }));
}

function print(medians, budgets) {
  const cell = (value, digits) => (value === undefined ? '' : value.toFixed(digits)).padStart(10);
  console.log(`medians of ${options.rounds} rounds, node ${process.version}`);
  console.log(`${''.padEnd(26)}  whole, ms  ready, ms dirty, KiB   gone, ms`);
  for (const [name, { wholeMs, readyMs, dirtyKiB, goneMs }] of Object.entries(medians)) {
    const cells = [cell(wholeMs, 1), cell(readyMs, 1), cell(dirtyKiB, 0), cell(goneMs, 1)];
    console.log(`${name.padEnd(26)} ${cells.join(' ')}`);
  }
  console.log(`\n${'budget'.padEnd(40)}   measured     budget`);
  for (const { what, measured, budget, holds } of budgets) {
    const digits = budget < 10 ? 2 : 1;
    const verdict = holds ? 'holds' : 'BROKEN';
    console.log(`${what.padEnd(40)} ${cell(measured, digits)} ${cell(budget, digits)}  ${verdict}`);
  }
}

if (process.getuid() !== 0) {
  const argv = ['--user', '--map-root-user', process.execPath, self, ...process.argv.slice(2)];
  process.exit(spawnSync('unshare', argv, { stdio: 'inherit' }).status ?? 1);
}

const folder = mkdtempSync(join(tmpdir(), 'spliceport-bench-'));
const container = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec sleep 3600'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await once(container.stdout, 'data');
  const medians = await measure(`/proc/${container.pid}/ns/net`, folder);
  const budgets = verdicts(medians);
  if (options.json)
    console.log(JSON.stringify({ node: process.version, medians, budgets }, undefined, 2));
  else print(medians, budgets);
  process.exitCode = budgets.every(({ holds }) => holds) ? 0 : 1;
} finally {
  container.kill();
  rmSync(folder, { recursive: true });
}
