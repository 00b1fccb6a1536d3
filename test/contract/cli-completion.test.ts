// The completion scripts, by the shells that read them.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMissing, type Tool } from '../helpers/tools.js';
import { cli, program } from './helpers/cli.js';
import { Terminal, tmux } from './helpers/tmux.js';

const bash: Tool = { command: 'bash', package: 'bash' };
const zsh: Tool = { command: 'zsh', package: 'zsh' };
const fish: Tool = { command: 'fish', package: 'fish' };

const commands = [
  ...[
    'forward',
    'ls',
    'sessions',
    'stats',
    'metrics',
    'add',
    'rm',
    'doctor',
    'drain',
    'top',
    'ui',
    'rootlesskit',
    'settings',
    'enable',
    'disable',
    'status',
    'path',
    'completion',
    'help',
  ],
].sort();

/** A line that is completed at its end, and what it is completed with. */
const cases: [line: string, words: readonly string[]][] = [
  ['spliceport ', commands],
  ['spliceport s', ['sessions', 'settings', 'stats', 'status']],
  ['spliceport --v', ['--version']],
  [
    'spliceport forward --',
    [
      ...[
        '--accept-proxy',
        '--allow',
        '--container',
        '--deny',
        '--drain',
        '--help',
        '--idle-stop',
        '--interval',
      ],
      ...[
        '--json',
        '--log-format',
        '--log-level',
        '--log-sessions',
        '--max-per-client',
        '--max-rate',
        '--max-sessions',
        '--netns',
        '--no-follow',
        '--on-demand',
        '--pid',
        '--publish',
        '--source-address',
        '--stop',
      ],
      ...['--trusted-proxy', '--wait-for-server'],
    ],
  ],
  ['spliceport forward 8080:80 --container ', ['db', 'other', 'web']],
  ['spliceport forward --json 8080:80 --container w', ['web']],
  ['spliceport forward --netns RUN/na', ['RUN/namespace']],
  ['spliceport forward --netns /run/netns/w', ['/run/netns/web']],
  ['spliceport forward --source-address p', ['proxy-v1', 'proxy-v2']],
  ['spliceport rm ', ['4281/1', '4281/2', '5000/1']],
  ['spliceport rm --drain 5 4281/', ['4281/1', '4281/2']],
  ['spliceport sessions 4', ['4281', '4281/1', '4281/2']],
  ['spliceport stats --j', ['--json']],
  ['spliceport add 80:80 --to ', ['4281', '5000']],
  ['spliceport drain ', ['4281', '5000']],
  ['spliceport top --sort t', ['to-container', 'to-host']],
  ['spliceport settings ', ['check', 'show']],
  ['spliceport enable ', ['docker', 'podman']],
  ['spliceport completion ', ['bash', 'fish', 'zsh']],
  ['spliceport help dr', ['drain']],
];

/**
 * A folder with programs that play podman, docker, find and `spliceport ls --quiet`, and with the
 * scripts.
 */
let folder: string;

const scriptOf = (shell: string): string => join(folder, `completion.${shell}`);
const here = (text: string): string => text.replaceAll('RUN', folder);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spliceport-completion-'));
  const answers = {
    podman: 'web\ndb',
    docker: 'other',
    find: '/run/netns/web',
    spliceport: '4281/1\n4281/2\n5000/1',
  };
  for (const [name, answer] of Object.entries(answers)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nprintf '${answer.replaceAll('\n', '\\n')}\\n'\n`);
    chmodSync(join(folder, name), 0o755);
  }
  writeFileSync(join(folder, 'namespace'), '');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, stderr, code } = await cli(['completion', shell]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    writeFileSync(scriptOf(shell), stdout);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const pathWithFolder = (): string => `${folder}:${process.env['PATH'] ?? ''}`;

function run(command: string, ...args: readonly string[]): string {
  const env = { ...process.env, PATH: pathWithFolder() };
  return execFileSync(command, args, { encoding: 'utf8', env });
}

const sorted = (text: string): string[] => [...new Set(text.split('\n').filter(Boolean))].sort();

describe.skipIf(isMissing(bash, 'completion for bash'))('the completion for bash', () => {
  /** Calls the function that is registered, as bash does when Tab is pressed. */
  function complete(line: string): string[] {
    const words = line.split(' ');
    const script = [
      `source ${scriptOf('bash')}`,
      'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))',
      'function=$(complete -p spliceport | sed "s/.*-F \\([^ ]*\\).*/\\1/")',
      '"$function"; printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    return sorted(run('bash', '--norc', '-c', script, 'bash', ...words));
  }

  test.each(cases)('completes "%s"', (line, words) => {
    expect(complete(here(line))).toEqual(words.map(here));
  });

  test('completes the pid of a process, and --option=value', () => {
    expect(complete(`spliceport forward --pid ${process.pid}`)).toContain(String(process.pid));
    expect(complete('spliceport forward --container = w')).toEqual(['web']);
    expect(complete('spliceport forward --container =')).toEqual(['db', 'other', 'web']);
  });

  test('completes nothing where any text may stand', () => {
    expect(complete('spliceport forward 80')).toEqual([]);
    expect(complete('spliceport forward --drain ')).toEqual([]);
  });
});

describe.skipIf(isMissing(fish, 'completion for fish'))('the completion for fish', () => {
  function complete(line: string): string[] {
    const script = `source ${scriptOf('fish')}; complete -C '${line}'`;
    const lines = run('fish', '--no-config', '-c', script).split('\n');
    return sorted(lines.map((each) => each.split('\t')[0] ?? '').join('\n'));
  }

  test.each(cases)('completes "%s"', (line, words) => {
    const expected = words.map(here);
    // An option is one word with its short form, and asks for a dash first.
    expect(complete(here(line))).toEqual(expected);
  });
});

const isWithoutZsh = [zsh, tmux].some((tool) => isMissing(tool, 'completion for zsh'));

describe.skipIf(isWithoutZsh)('the completion for zsh', () => {
  // There is no way to ask zsh itself, so a person's is taken: Tab, and a look at the screen.
  test.each(cases)('completes "%s"', async (line, words) => {
    using terminal = await Terminal.open({ columns: 100, rows: 40 }, { PATH: pathWithFolder() });
    terminal.type('exec zsh -f');
    terminal.type('PS1="z> "; autoload -U compinit; compinit -D -u; LISTMAX=0; setopt NO_BEEP');
    terminal.type(`source ${scriptOf('zsh')}; clear; echo sourced`);
    await terminal.untilShows(/^sourced\nz>\s*$/);
    terminal.text(here(line));
    await terminal.untilShows((screen) => screen.includes(`z> ${here(line).trimEnd()}`));
    // The first fills in what all have in common, the second lists them.
    terminal.keys('Tab', 'Tab');
    const missing = (screen: string): string[] =>
      words.map(here).filter((word) => !screen.replaceAll('\n', '').includes(word));
    await terminal.untilShows((screen) => missing(screen).length === 0, words.join(', '));
  });
});

test('spliceport completion rejects an unknown shell', async () => {
  const { code, stdout, stderr } = await cli(['completion', 'tcsh']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^spliceport: .*'tcsh' is invalid.*bash, zsh, fish/);
});

test('the completion scripts have every command and option of the program', () => {
  const help = execFileSync(process.execPath, [program, 'forward', '--help'], { encoding: 'utf8' });
  const options = [...help.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map(([, option]) => option);
  expect(options.sort()).toEqual(cases[3]?.[1]);
});
