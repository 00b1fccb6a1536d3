// The commands of the pages that lead a user from the installation to the removal: each is run by a
// test, or is listed here with what keeps it from being run.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(`${root}${file}`, 'utf8');

const pages = ['README.md', 'docs/install.md', 'docs/troubleshooting.md', 'docs/docker.md'];

/** Where a command is run, and a word by which the file can be seen to do so; or why it is not. */
interface Row {
  readonly is: RegExp;
  readonly by?: string;
  readonly word?: string;
  readonly not?: string;
}

const systemd = 'the machines of the tests have no systemd; cli-systemd.test.ts plays it';
const firstSteps = { by: 'test/package/first-steps.test.ts' };
const troubles = { by: 'test/podman/troubleshooting.test.ts' };

const rows: readonly Row[] = [
  { is: /^npm ci && npm start$/, by: '.ci/run', word: 'npm start' },
  { is: /^npm cit$|^npm ci$/, by: '.ci/run', word: 'npm cit' },
  { is: /^npm test -- --project unit$/, by: 'scripts/test.mjs', word: 'vitest' },
  { is: /^npm install -g spliceport$/, ...firstSteps, word: 'npm install -g spliceport' },
  { is: /^npm uninstall -g spliceport$/, ...firstSteps, word: 'npm uninstall -g spliceport' },
  { is: /^npm pack$/, by: 'test/package/npm-registry.ts', word: "'pack'" },
  { is: /^npm install -g \.\/spliceport/, not: 'npm does the same with the package of a registry' },
  { is: /^npm rebuild spliceport$/, not: 'it is the install step, which "npm cit" runs' },
  { is: /^ln -s /, by: 'test/contract/package-files.test.ts', word: 'symlinkSync' },
  { is: /^npm (ci && npm )?run deb$/, by: 'test/package/deb.test.ts', word: 'scripts/deb.mjs' },
  { is: /^npm run rpm$/, by: 'test/package/rpm.test.ts', word: "'rpm', '--', folder" },
  { is: /^sudo apt install .*deb$/, by: 'test/package/deb.test.ts', word: 'dpkg -i' },
  { is: /^sudo apt purge spliceport$/, by: 'test/package/deb.test.ts', word: 'dpkg --purge' },
  { is: /^npm run bench/, by: 'test/contract/bench-smoke.test.ts', word: 'bench/run.mjs' },
  { is: /^podman run -d --network bridge -p 8080:80 docker/, ...firstSteps, word: '8080' },
  { is: /^podman run -d --network bridge -p 8080:80 nginx/, ...troubles, word: '8080:80' },
  { is: /^podman run --network bridge …$/, ...troubles, word: '--network bridge' },
  { is: /^podman (inspect|restart|unshare) /, ...troubles, word: 'podman inspect' },
  {
    is: /^podman network (connect|disconnect|create)$/,
    by: 'test/podman/networks.test.ts',
    word: "'connect'",
  },
  {
    is: /^podman --log-level debug run …$/,
    not: 'its output is for people; what a helper prints is in the contract tests',
  },
  { is: /^ss -\w+ 'sport = :8080'$/, ...troubles, word: 'ss -ltnp' },
  { is: /^(grep 'open files'|ulimit -Hn)/, ...troubles, word: 'ulimit -Hn' },
  { is: /^(systemctl|loginctl) /, not: systemd },
  {
    is: /^docker version( \| grep PortDriver)?$/,
    by: 'test/docker/rootless-ports.test.ts',
    word: 'PortDriver',
  },
  { is: /^docker rename$/, by: 'test/docker/control.test.ts', word: "'rename'" },
  { is: /^docker run( -p)?$/, by: 'test/docker/rootless-host.ts', word: "'run'" },
];

/** Each command of spliceport, and the file that runs it. */
const own: Readonly<Record<string, string>> = {
  doctor: 'cli-doctor',
  forward: 'cli-forward',
  ls: 'cli-running',
  add: 'cli-running',
  rm: 'cli-running',
  drain: 'cli-running',
  sessions: 'cli-running',
  stats: 'cli-running',
  top: 'cli-top',
  ui: 'cli-ui',
  metrics: 'cli-metrics',
  path: 'cli-enable',
  enable: 'cli-enable',
  disable: 'cli-enable',
  status: 'cli-enable',
  settings: 'settings-cli',
  completion: 'cli-completion',
  rootlesskit: 'cli-enable-docker',
};

/** Lines of shell blocks and of what is typed in others, and commands within sentences. */
function commandsOn(page: string): string[] {
  const text = read(page);
  const lines = [...text.matchAll(/^```(sh|)\n(.*?)^```$/gms)].flatMap(([, kind, block = '']) =>
    kind === 'sh' ? block.split('\n') : [...block.matchAll(/^\$ (.*)$/gm)].map(([, line]) => line),
  );
  const programs = 'spliceport|npm|podman|docker|systemctl|loginctl|ss|sudo|grep|ulimit';
  const inline = [...text.matchAll(new RegExp(`\`((?:${programs}) [^\`]+)\``, 'g'))];
  return [...lines, ...inline.map(([, command]) => command)]
    .map((line = '') => line.replace(/ +# .*$/, '').trim())
    .filter((line) => line !== '' && !/^\w+=/.test(line));
}

const commands = [...new Set(pages.flatMap(commandsOn))].sort();
const isOwn = (command: string): boolean => /^(sudo )?spliceport /.test(command);
const rowOf = (command: string): Row | undefined => rows.find(({ is }) => is.test(command));

describe('the commands of the pages for users', () => {
  test('are found', () => {
    expect(commands).toContain('npm install -g spliceport');
    expect(commands).toContain('podman restart web');
    expect(commands.length).toBeGreaterThan(40);
  });

  test.each(commands.filter((command) => !isOwn(command)))(
    'are run by a test, or it is said why not: %s',
    (command) => {
      const row = rowOf(command);
      expect(row).toBeDefined();
      if (row?.by === undefined) {
        expect(row?.not).toMatch(/\w+/);
        return;
      }
      expect(existsSync(root + row.by)).toBe(true);
      expect(read(row.by)).toContain(row.word);
    },
  );

  test.each(commands.filter(isOwn))('are run by a test of the command line: %s', (command) => {
    const [, , name = ''] = /^(sudo )?spliceport ([\w-]+)/.exec(command) ?? [];
    if (name.startsWith('--')) return;
    const file = `test/contract/${own[name]}.test.ts`;
    expect(read(file)).toMatch(new RegExp(`['" ]${name}['" ]`));
  });

  test('no row is left over', () => {
    const unused = rows.filter(({ is }) => !commands.some((command) => is.test(command)));
    expect(unused).toEqual([]);
  });
});
