// program.ts: every command, its arguments, options and examples. The help, the man page and the completion are made of
// this; what a command does is loaded when it runs.

import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addAdmissionOptions } from './admission.js';
import { addClientAddressOptions } from './client-address.js';
import type { AddOptions, DrainOptions, RemoveOptions } from './change.js';
import { give, type Example } from './examples.js';
import type { ForwardOptions } from './forward.js';
import { addLogOptions } from './log-options.js';
import type { ListOptions } from './ls.js';
import { podmanActions, type PodmanOptions } from './podman-actions.js';
import { settingsActions, type SettingsOptions } from './settings-actions.js';
import { sortKeys } from './sort-keys.js';
import type { TopOptions } from './top.js';

/** Takes the exit code of a command that ends otherwise than well. */
export type SetExitCode = (code: number) => void;

interface JsonOption {
  readonly json?: boolean;
}

const MAX_SECONDS = 86_400;
const MIN_INTERVAL_SECONDS = 0.1;

/** The command line, whole. */
export function buildProgram(setExitCode: SetExitCode): Command {
  const program = new Command('spliceport')
    .description('Forwards ports of the host to containers, and looks after forwarders that run.')
    .helpOption('-h, --help', 'show help and end')
    .helpCommand('help [command]', 'show the help of a command')
    .version(version(), '-V, --version', 'show the version and end')
    .showHelpAfterError('"spliceport --help" tells how it is used.')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, 'spliceport:')),
    })
    .exitOverride();
  addForward(program, setExitCode);
  addLists(program);
  addChanges(program);
  addTop(program);
  addSettings(program, setExitCode);
  addPodman(program);
  addCompletion(program);
  for (const command of program.commands)
    command.showHelpAfterError(`"spliceport ${command.name()} --help" tells how it is used.`);
  return program;
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

const forwardExamples: readonly Example[] = [
  {
    command: 'spliceport forward 8080:80 --container web',
    effect: 'port 8080 of the host leads to port 80 of a container',
  },
  {
    command: 'spliceport forward 127.0.0.1:0:80 --pid 4281',
    effect: 'a free port of the loopback, which is printed',
  },
  {
    command: "spliceport forward 8000-8009:80-89 '[::1]:5353:53/udp' --netns /run/netns/web",
    effect: 'ten TCP ports, and a UDP port of IPv6',
  },
  {
    command: 'spliceport forward 8080:80 --container web --source-address proxy-v2',
    effect: 'the server, which expects PROXY headers, learns who its clients are',
  },
  {
    command: 'spliceport forward 8080:80 --container web --allow 192.168.0.0/16 --max-sessions 100',
    effect: 'a hundred clients at a time, of the local network alone',
  },
];

function addForward(program: Command, setExitCode: SetExitCode): void {
  const others = (own: string): string[] =>
    ['netns', 'pid', 'container'].filter((name) => name !== own);
  const command = program
    .command('forward')
    .summary('forward ports to a container, in the foreground')
    .description(
      'Forwards ports of the host to a container until Ctrl-C. Each SPEC is ' +
        '[hostIP:]hostPort[-end]:[containerIP:]containerPort[-end][/tcp|/udp]. ' +
        'An IPv6 address stands in brackets. The host port 0, or none, is a free one, which is printed.',
    )
    .addOption(
      new Option(
        '--container <name>',
        'the container, by a name or an id of podman or docker',
      ).conflicts(others('container')),
    )
    .addOption(
      new Option('--pid <pid>', 'the container, by a process that lives in it')
        .argParser(parsePid)
        .conflicts(others('pid')),
    )
    .addOption(
      new Option('--netns <path>', 'the container, by its network namespace').conflicts(
        others('netns'),
      ),
    )
    .option('--no-follow', 'do not follow a container by name when it ends and runs again')
    .option('--drain <seconds>', 'how long sessions may go on after Ctrl-C', parseSeconds, 0)
    .option(
      '--interval <seconds>',
      'how often the traffic is shown; 0: never (default: 1 on a terminal, else 60)',
      parseInterval,
    )
    .option('--json', 'print a line of JSON for each event')
    .action(async (specs: string[], options: ForwardOptions) => {
      const { forward } = await import('./forward.js');
      setExitCode(await forward(specs, options));
    });
  addSpecs(command, 'what to forward, as after the -p of a container engine');
  addClientAddressOptions(command);
  addAdmissionOptions(command);
  addLogOptions(command);
  give(command, forwardExamples);
}

/** Specifications as words of their own, or after -p, as people are used to. One is needed. */
function addSpecs(command: Command, description: string): void {
  command
    .usage('[options] <spec...>')
    .argument('[spec...]', description)
    .option(
      '-p, --publish <spec>',
      'the same as SPEC; may be repeated',
      (spec: string, before: readonly string[] | undefined) => [...(before ?? []), spec],
    );
}

function addLists(program: Command): void {
  const ls = program
    .command('ls')
    .summary('list the forwards of all forwarders that run')
    .description('Lists the forwards of all forwarders of this user that run.')
    .option('-q, --quiet', 'print the ids alone')
    .option('--json', 'print JSON')
    .action(async (options: ListOptions) => (await import('./ls.js')).list(options));
  give(ls, [
    { command: 'spliceport ls', effect: 'a table' },
    {
      command: "spliceport ls --json | jq '.[].forwards[].host.port'",
      effect: 'every port of the host',
    },
  ]);

  const idDescription = 'forwarders (4281) or forwards (4281/1); without them all';
  const sessions = program
    .command('sessions')
    .summary('list the sessions and flows that are open')
    .description('Lists the TCP sessions and UDP flows that are open.')
    .argument('[id...]', idDescription)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: JsonOption) =>
      (await import('./sessions.js')).listSessions(ids, options),
    );
  give(sessions, [
    { command: 'spliceport sessions 4281', effect: 'those of one forwarder' },
    { command: 'spliceport sessions --json', effect: 'all, for a program' },
  ]);

  const stats = program
    .command('stats')
    .summary('show what has gone through')
    .description('Shows counters of forwards. With the id of a single forward it shows every one.')
    .argument('[id...]', idDescription)
    .option('--json', 'print JSON, with every counter')
    .action(async (ids: string[], options: JsonOption) =>
      (await import('./stats.js')).showStats(ids, options),
    );
  give(stats, [
    { command: 'spliceport stats', effect: 'a table' },
    { command: 'spliceport stats 4281/1', effect: 'every counter of one forward' },
  ]);

  const metrics = program
    .command('metrics')
    .summary('print the metrics of all forwarders, for Prometheus')
    .description(
      'Prints the metrics of all forwarders as one text for Prometheus, with the names of their containers.',
    )
    .action(async () => (await import('./metrics.js')).showMetrics());
  give(metrics, [
    {
      command: 'spliceport metrics > all.new && mv all.new all.prom',
      effect: 'for a textfile collector',
    },
  ]);
}

function addChanges(program: Command): void {
  const add = program
    .command('add')
    .summary('add forwards to a forwarder that runs')
    .description('Adds forwards to a forwarder that runs, all or none. They lead to its container.')
    .option('--to <id>', 'the forwarder; needed where more than one runs')
    .option('--json', 'print JSON')
    .action(async (specs: string[], options: AddOptions) =>
      (await import('./change.js')).add(specs, options),
    );
  addSpecs(add, 'what to forward, as for the command forward');
  addClientAddressOptions(add);
  addAdmissionOptions(add);
  give(add, [{ command: 'spliceport add 8443:443 --to 4281', effect: 'one port more' }]);

  const remove = program
    .command('rm')
    .summary('end forwards')
    .description('Ends forwards. Their ports are free at once.')
    .argument('<id...>', 'forwards (4281/1); the number is enough while a single forwarder runs')
    .option('--drain <seconds>', 'how long sessions may go on', parseSeconds, 0)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: RemoveOptions) =>
      (await import('./change.js')).remove(ids, options),
    );
  give(remove, [
    { command: 'spliceport rm 4281/1', effect: 'ends it and its sessions' },
    { command: 'spliceport rm --drain 30 4281/1', effect: 'lets its sessions end for 30 seconds' },
  ]);

  const drain = program
    .command('drain')
    .summary('let forwarders end their sessions')
    .description(
      'Frees the ports of forwarders, lets their sessions end, and returns when they have.',
    )
    .argument('[id...]', 'forwarders (4281); needed where more than one runs')
    .option('--all', 'all forwarders of this user')
    .option('--for <seconds>', 'how long sessions may go on', parseSeconds, 10)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: DrainOptions) =>
      (await import('./change.js')).drain(ids, options),
    );
  give(drain, [
    { command: 'spliceport drain --for 60 4281', effect: 'for a minute at most' },
    { command: 'spliceport drain --all', effect: 'every forwarder, for ten seconds at most' },
  ]);
}

function addTop(program: Command): void {
  const command = program
    .command('top')
    .summary('watch forwards, live')
    .description(
      'Shows the traffic of all forwarders of this user, live. ' +
        'Left and right choose the column to sort by, r reverses the order, ' +
        'up, down, page up, page down, home and end scroll, ? shows the keys, q ends it.',
    )
    .option('--interval <seconds>', 'time between two looks', parsePeriod, 1)
    .addOption(
      new Option('--sort <column>', 'the column to sort by at first')
        .choices(sortKeys)
        .default('to-host'),
    )
    .action(async (options: TopOptions) => (await import('./top.js')).top(options));
  give(command, [
    { command: 'spliceport top', effect: 'the busiest first' },
    { command: 'spliceport top --sort open', effect: 'those with the most sessions first' },
  ]);
}

function addSettings(program: Command, setExitCode: SetExitCode): void {
  const command = program
    .command('settings')
    .summary('check the settings file, or show what holds')
    .description(
      'Checks the settings file, or shows what holds: what it says, and defaults for all else. ' +
        'Without a FILE it is the one that forwarders of this user read.',
    )
    .addArgument(program.createArgument('<action>', 'what to do').choices(settingsActions))
    .argument('[file]', 'a settings file')
    .option('--json', 'print JSON')
    .action(async (action: string, file: string | undefined, options: SettingsOptions) => {
      const { settings } = await import('./settings.js');
      setExitCode(settings(action, file, options));
    });
  give(command, [
    { command: 'spliceport settings check', effect: 'where it is wrong, by line and column' },
    { command: 'spliceport settings check draft.json', effect: 'a file before it is in its place' },
    { command: 'spliceport settings show --json', effect: 'what holds, for a program' },
  ]);
}

function addPodman(program: Command): void {
  const command = program
    .command('podman')
    .summary('have rootless Podman use spliceport, or show how')
    .description(
      'Shows whether rootless Podman uses spliceport, and the lines for its configuration. ' +
        'enable writes them to a file of their own, for root that of all users; disable removes it; ' +
        'path prints the folder of the helper.',
    )
    .addArgument(
      program.createArgument('[action]', 'what to do').choices(podmanActions).default('show'),
    )
    .option('--json', 'print JSON')
    .action(async (action: string, options: PodmanOptions) =>
      (await import('./podman.js')).podman(action, options),
    );
  give(command, [
    {
      command: 'spliceport podman',
      effect: 'the lines, where they belong, and what Podman starts',
    },
    {
      command: 'spliceport podman enable',
      effect: 'for all containers that are started from now on',
    },
    {
      command:
        'CONTAINERS_HELPER_BINARY_DIR="$(spliceport podman path)" podman run --network bridge -p 8080:80 nginx',
      effect: 'for one container',
    },
  ]);
}

function addCompletion(program: Command): void {
  const command = program
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a script that completes the words of spliceport in a shell.')
    .addArgument(
      program.createArgument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish'] as const),
    )
    .action(async (shell: string) => {
      const { completionScript } = await import('./completion.js');
      process.stdout.write(completionScript(program, shell));
    });
  give(command, [
    {
      command: 'source <(spliceport completion bash)',
      effect: 'for this bash; in ~/.bashrc for all',
    },
    {
      command: 'spliceport completion zsh > "${fpath[1]}/_spliceport"',
      effect: 'for zsh, from the next start on',
    },
    {
      command: 'spliceport completion fish > ~/.config/fish/completions/spliceport.fish',
      effect: 'for fish',
    },
  ]);
}

function parsePid(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text))
    throw new InvalidArgumentError('It is not the id of a process.');
  return Number(text);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= MAX_SECONDS))
    throw new InvalidArgumentError(`It is not a number of seconds from 0 to ${MAX_SECONDS}.`);
  return seconds;
}

/** 0 is never. */
function parseInterval(text: string): number {
  return Number(text) === 0 ? parseSeconds(text) : parsePeriod(text);
}

function parsePeriod(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds < MIN_INTERVAL_SECONDS)
    throw new InvalidArgumentError(`The shortest interval is ${MIN_INTERVAL_SECONDS} seconds.`);
  return seconds;
}
