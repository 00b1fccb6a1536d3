import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive } from '../helpers/process-facts.js';
import { isRefused } from '../helpers/tcp-client.js';
import { isMissing, script, setpriv } from '../helpers/tools.js';
import { until, within } from '../helpers/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Root that may do nothing but become root of a user namespace, which takes CAP_SETFCAP since Linux
// 5.12.
const noRights = ['setpriv', '--bounding-set=-all,+setfcap', '--inh-caps=-all'];
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** A copy of what the package runs from, which every user may read. */
let installed: string;
let demo: string[];
/** Where demos in a terminal have their control sockets. */
let controlFolder: string;

beforeAll(() => {
  installed = mkdtempSync(path.join(tmpdir(), 'spliceport-demo-'));
  controlFolder = mkdtempSync(path.join(tmpdir(), 'spliceport-demo-control-'));
  mkdirSync(path.join(installed, 'build', 'Release'), { recursive: true });
  for (const part of ['lib', 'package.json', 'build/Release/spliceport.node']) {
    cpSync(path.join(root, part), path.join(installed, part), { recursive: true });
  }
  spawnSync('chmod', ['-R', 'a+rX', installed]);
  demo = [process.execPath, path.join(installed, 'lib', 'demo', 'main.js')];
});
afterAll(() => {
  rmSync(installed, { recursive: true });
  rmSync(controlFolder, { recursive: true, force: true });
});

/** A running demo and what it has printed. */
interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown[]>;
  readonly output: () => string;
  readonly errors: () => string;
}

function run(command: readonly string[], environment: NodeJS.ProcessEnv = process.env): Run {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (output += more));
  child.stderr.setEncoding('utf8').on('data', (more: string) => (errors += more));
  const ended = within(once(child, 'close'), 'the end of the demo', 30_000);
  return { process: child, ended, output: () => output, errors: () => errors };
}

/** The demo in a terminal. */
function inTerminal(prefix: string, environment: NodeJS.ProcessEnv): Run {
  // Node shows no colors to a terminal of a CI that it does not know.
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...rest } = process.env;
  const command = `exec ${prefix}${demo.join(' ')}`;
  return run(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
    ...rest,
    SPLICEPORT_CONTROL_DIR: controlFolder,
    ...environment,
  });
}

/** What the demo says of its container and its forward. */
function factsOf(output: string): { pid: number; port: number } {
  const pid = Number(/process (\d+)/.exec(output)?.[1]);
  const port = Number(/127\.0\.0\.1:(\d+) on the host/.exec(output)?.[1]);
  return { pid, port };
}

async function expectNothingLeft(output: string): Promise<void> {
  const { pid, port } = factsOf(output);
  await until(() => !isAlive(pid), 'the container ends');
  expect(await isRefused({ port })).toBe(true);
}

function expectFullShow(output: string): void {
  const [host, container] = [...output.matchAll(/net:\[\d+\]/g)].map(([id]) => id);
  expect(host).toBe(readlinkSync('/proc/self/ns/net'));
  expect(container).not.toBe(host);
  expect(output).toMatch(/it saw +GET \/hello {2}from 127\.0\.0\.1:\d+ {2}spliceport demo/);
  expect(output).toContain(`answer      200 Hello from ${container ?? ''}`);
  expect(output).toMatch(/new +\d+ µs, median of 200/);
  expect(output).toMatch(/kept +\d+ µs, median of 1,000/);
  expect(output).toMatch(/bulk +\d+\.\d+ GB in \d+\.\d+ s: \d+\.\d+ Gb\/s/);
  // The first, 200 new ones, the kept one and the bulk.
  expect(output).toMatch(/relayed +203 connections/);
}

/** The commands and files that the demo names at its end. */
function expectNextSteps(output: string): void {
  const [, next = ''] = output.split(/^ {2}next {8}/m);
  const commands = [...next.matchAll(/node (lib\/cli\/main\.js) (\w+)/g)];
  expect(commands.map(([, , command]) => command)).toEqual(['forward', 'enable', 'doctor']);
  for (const [, file = '', command = ''] of commands) {
    const help = [path.join(root, file), 'help', command];
    expect(spawnSync(process.execPath, help).status).toBe(0);
  }
  const documents = [...next.matchAll(/[\w/]+\.md/g)].map(([file]) => file);
  expect(documents).toContain('docs/README.md');
  for (const file of documents) expect(existsSync(path.join(root, file)), file).toBe(true);
}

describe('the demo, when stdin is not a terminal', () => {
  test('shows a forward at work and exits by itself', async () => {
    const { ended, output, errors } = run(demo);
    expect(await ended).toEqual([0, null]);
    expect(errors()).toBe('');
    expectFullShow(output());
    expectNextSteps(output());
    await expectNothingLeft(output());
  });

  test.skipIf(isMissing(setpriv, 'the demo without capabilities'))(
    'works without any capability, in a user namespace',
    async () => {
      const { ended, output, errors } = run([...noRights, ...demo]);
      expect(await ended).toEqual([0, null]);
      expect(errors()).toBe('');
      expectFullShow(output());
      await expectNothingLeft(output());
    },
  );

  test.skipIf(isMissing(setpriv, 'the demo as another user') || !mayChangeUser())(
    'works for a user who is not root',
    async () => {
      const { ended, output, errors } = run([...nobody, ...demo]);
      expect(await ended).toEqual([0, null]);
      expect(errors()).toBe('');
      expectFullShow(output());
      await expectNothingLeft(output());
    },
  );
});

describe.skipIf(isMissing(script, 'the demo in a terminal'))('the demo, in a terminal', () => {
  test.each([
    { who: 'root', prefix: '' },
    { who: 'a process without capabilities', prefix: `${noRights.join(' ')} ` },
  ])('keeps running for requests until Ctrl-C, started by $who', async ({ prefix }) => {
    const { process: terminal, ended, output } = inTerminal(prefix, { NO_COLOR: '1' });
    await until(() => output().includes('Press Ctrl-C to stop.'), 'the invitation', 20_000);
    const { port } = factsOf(output());
    const request = get({ host: '127.0.0.1', port, path: '/mine', agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(await text(response)).toMatch(/^Hello from net:\[\d+\]/);
    await until(() => /it saw +GET \/mine/.test(output()), 'the request is shown');
    const { stdout: list } = spawnSync(
      process.execPath,
      [path.join(root, 'lib/cli/main.js'), 'ls'],
      {
        encoding: 'utf8',
        env: { ...process.env, SPLICEPORT_CONTROL_DIR: controlFolder },
      },
    );
    expect(list).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} .* spliceport demo `));
    expect(output()).toContain('node lib/cli/main.js top ');
    expect(output()).not.toContain('\x1b[');
    terminal.stdin?.write('\x03');
    expect(await ended).toEqual([0, null]);
    await expectNothingLeft(output());
  });
});

describe.skipIf(isMissing(script, 'the colors of the demo'))('the demo', () => {
  test('has colors in a terminal', async () => {
    const { process: terminal, ended, output } = inTerminal('', { TERM: 'xterm-256color' });
    await until(() => output().includes('Press Ctrl-C to stop.'), 'the invitation', 20_000);
    expect(output()).toContain(`\x1b[36m${'forward'.padEnd(12)}\x1b[39m127`);
    terminal.stdin?.write('\x03');
    await ended;
  });
});

describe('the demo, when it is killed', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('leaves no process after %s', async (signal) => {
    const prefix = isMissing(setpriv, 'the demo without capabilities') ? [] : noRights;
    const { process: started, ended, output } = run([...prefix, ...demo]);
    await until(() => output().includes('it saw'), 'the first request', 20_000);
    started.kill(signal);
    await ended;
    await expectNothingLeft(output());
  });
});

describe('the demo, when something is missing', () => {
  test('reports that unshare is missing, and names its package', async () => {
    const { ended, output, errors } = run(demo, { PATH: installed });
    expect(await ended).toEqual([1, null]);
    expect(output()).toBe('');
    expect(errors()).toMatch(/^spliceport demo: The program unshare is missing.*util-linux/);
  });

  test.skipIf(isMissing(setpriv, 'the demo without user namespaces'))(
    'names the setting that forbids user namespaces',
    async () => {
      const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
      const jail = ['unshare', '--user', '--map-root-user', 'sh', '-c', forbid, 'sh'];
      const { ended, errors } = run([...jail, ...noRights, ...demo]);
      expect(await ended).toEqual([1, null]);
      expect(errors()).toContain('sudo sysctl user.max_user_namespaces=15000   (now 0)');
      expect(errors()).toContain('run the demo as root');
    },
  );
});

/** Only in a user namespace that has more than one user. */
function mayChangeUser(): boolean {
  const [, , count = ''] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  if (process.getuid?.() === 0 && Number(count) > 65_534) return true;
  process.stderr.write('skipped: the demo as another user; run the tests as root\n');
  return false;
}
