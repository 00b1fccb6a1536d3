// program.ts: every command, its arguments, options and examples. The help, the man page and the
// completion are made of this; what a command does is loaded when it runs.

import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addForwardOptions, addOnDemandOptions } from './forward/forward-options.js';
import type { AddOptions, DrainOptions, RemoveOptions } from './commands/change.js';
import { give, type Example } from './examples.js';
import type { ForwardOptions } from './commands/forward.js';
import { addLogOptions } from './commands/log-options.js';
import type { ListOptions } from './commands/ls.js';
import type { MetricsOptions } from './commands/metrics.js';
import { sortKeys } from './commands/sort-keys.js';
import type { TopOptions } from './commands/top.js';
import type { UiOptions } from './commands/ui.js';
import { parseListenAddress } from './http/listen-address.js';
import { addSetUpCommands } from './set-up-commands.js';

/** Receives the exit code of a command that fails. */
export type SetExitCode = (code: number) => void;

interface JsonOption {
  readonly json?: boolean;
}

const MAX_SECONDS = 86_400;
const MIN_INTERVAL_SECONDS = 0.1;

/** The whole command line. */
export function buildProgram(setExitCode: SetExitCode): Command {
  const program = new Command('spliceport')
    .description('Forwards host ports to containers, and manages running forwarders.')
    .helpOption('-h, --help', 'show help and exit')
    .helpCommand('help [command]', 'show help for a command')
    .version(version(), '-V, --version', 'show the version and exit')
    .showHelpAfterError('See "spliceport --help".')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, 'spliceport:')),
    })
    .exitOverride();
  addForward(program, setExitCode);
  addLists(program);
  addMetrics(program);
  addChanges(program);
  addTop(program);
  addUi(program);
  addSetUpCommands(program, setExitCode);
  for (const command of program.commands) {
    command.showHelpAfterError(`See "spliceport ${command.name()} --help".`);
  }
  return program;
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

const forwardExamples: readonly Example[] = [
  {
    command: 'spliceport forward 8080:80 --container web',
    effect: 'forward port 8080 of the host to port 80 of a container',
  },
  {
    command: 'spliceport forward 127.0.0.1:0:80 --pid 4281',
    effect: 'pick a free loopback port and print it',
  },
  {
    command: "spliceport forward 8000-8009:80-89 '[::1]:5353:53/udp' --netns /run/netns/web",
    effect: 'forward ten TCP ports, and a UDP port over IPv6',
  },
  {
    command: 'spliceport forward 8080:80 --container web --source-address proxy-v2',
    effect: 'tell a server that expects PROXY headers who its clients are',
  },
  {
    command: 'spliceport forward 8080:80 --container web --allow 192.168.0.0/16 --max-sessions 100',
    effect: 'accept at most 100 clients at a time, from the local network only',
  },
  {
    command: 'spliceport forward 8080:80 --container web --on-demand podman --idle-stop 10m',
    effect: 'start the container for its first client, and stop it after ten minutes without one',
  },
  {
    command: 'spliceport forward @web:80 --container web',
    effect: 'use the sockets that a socket unit of systemd with FileDescriptorName=web passes',
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
        'Put an IPv6 address in brackets. If the host port is 0 or missing, a free port is picked and printed. ' +
        'A socket that systemd passes (socket activation) is used for the SPEC with its protocol, address and port; ' +
        'without an address, for every address. @NAME:containerPort[/udp] means the sockets with that FileDescriptorName.',
    )
    .addOption(
      new Option(
        '--container <name>',
        'the container, by name or id; asks podman, then docker',
      ).conflicts(others('container')),
    )
    .addOption(
      new Option('--pid <pid>', 'the container, by any process in it')
        .argParser(parsePid)
        .conflicts(others('pid')),
    )
    .addOption(
      new Option('--netns <path>', 'the container, by its network namespace').conflicts(
        others('netns'),
      ),
    )
    .option('--no-follow', 'do not follow the container when it is restarted')
    .option('--drain <seconds>', 'how long sessions may continue after Ctrl-C', parseSeconds, 0)
    .option(
      '--interval <seconds>',
      'how often to show traffic; 0: never (default: 1 on a terminal, otherwise 60)',
      parseInterval,
    )
    .option('--json', 'print a line of JSON for each event')
    .action(async (specs: string[], options: ForwardOptions) => {
      const { forward } = await import('./commands/forward.js');
      setExitCode(await forward(specs, options));
    });
  addForwardOptions(command, 'what to forward, as after -p of a container engine');
  addOnDemandOptions(command);
  addLogOptions(command);
  give(command, forwardExamples);
}

function addLists(program: Command): void {
  const ls = program
    .command('ls')
    .summary('list the forwards of all running forwarders')
    .description('Lists the forwards of all running forwarders of this user.')
    .option('-q, --quiet', 'print only ids')
    .option('--json', 'print JSON')
    .action(async (options: ListOptions) => (await import('./commands/ls.js')).list(options));
  give(ls, [
    { command: 'spliceport ls', effect: 'print a table' },
    {
      command: "spliceport ls --json | jq '.[].forwards[].host.port'",
      effect: 'print every host port',
    },
  ]);

  const idDescription = 'forwarders (4281) or forwards (4281/1); default: all';
  const sessions = program
    .command('sessions')
    .summary('list open sessions and flows')
    .description('Lists open TCP sessions and UDP flows.')
    .argument('[id...]', idDescription)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: JsonOption) =>
      (await import('./commands/sessions.js')).listSessions(ids, options),
    );
  give(sessions, [
    { command: 'spliceport sessions 4281', effect: 'list those of one forwarder' },
    { command: 'spliceport sessions --json', effect: 'list all, for a program' },
  ]);

  const stats = program
    .command('stats')
    .summary('show traffic counters')
    .description('Shows counters of forwards; with the id of a single forward, every counter.')
    .argument('[id...]', idDescription)
    .option('--json', 'print JSON, with every counter')
    .action(async (ids: string[], options: JsonOption) =>
      (await import('./commands/stats.js')).showStats(ids, options),
    );
  give(stats, [
    { command: 'spliceport stats', effect: 'print a table' },
    { command: 'spliceport stats 4281/1', effect: 'print every counter of one forward' },
  ]);
}

function addMetrics(program: Command): void {
  const command = program
    .command('metrics')
    .summary('print or serve the metrics of all forwarders, for Prometheus')
    .description(
      'Prints the metrics of all forwarders of this user as one text for Prometheus, with the names of their containers. ' +
        'With --listen, it serves them over HTTP until Ctrl-C, and reads them again for each scrape.',
    )
    .addOption(
      new Option(
        '--listen <address>',
        'serve them at this address and port, such as 127.0.0.1:9469, under /metrics',
      )
        .argParser(parseListenAddress)
        .conflicts('output'),
    )
    .option('--output <file>', 'write them to a file, which is replaced in one step')
    .action(async (options: MetricsOptions) =>
      (await import('./commands/metrics.js')).showMetrics(options),
    );
  give(command, [
    {
      command: 'spliceport metrics --listen 127.0.0.1:9469',
      effect: 'serve http://127.0.0.1:9469/metrics',
    },
    {
      command: 'spliceport metrics --output /var/lib/prometheus/node-exporter/spliceport.prom',
      effect: 'write a file for a textfile collector',
    },
  ]);
}

function addChanges(program: Command): void {
  const add = program
    .command('add')
    .summary('add forwards to a running forwarder')
    .description('Adds forwards to a running forwarder, all or none. They lead to its container.')
    .option('--to <id>', 'the forwarder; required if several are running')
    .option('--json', 'print JSON')
    .action(async (specs: string[], options: AddOptions) =>
      (await import('./commands/change.js')).add(specs, options),
    );
  addForwardOptions(add, 'what to forward, as with the command forward');
  give(add, [{ command: 'spliceport add 8443:443 --to 4281', effect: 'add a port' }]);

  const remove = program
    .command('rm')
    .summary('remove forwards')
    .description('Removes forwards. Their ports are free at once.')
    .argument(
      '<id...>',
      'forwards (4281/1); the number is enough while only one forwarder is running',
    )
    .option('--drain <seconds>', 'how long sessions may continue', parseSeconds, 0)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: RemoveOptions) =>
      (await import('./commands/change.js')).remove(ids, options),
    );
  give(remove, [
    { command: 'spliceport rm 4281/1', effect: 'remove it and end its sessions' },
    {
      command: 'spliceport rm --drain 30 4281/1',
      effect: 'remove it, and let its sessions continue for at most 30 seconds',
    },
  ]);

  const drain = program
    .command('drain')
    .summary('free the ports of forwarders and let their sessions finish')
    .description(
      'Frees the ports of forwarders, lets their sessions finish, and returns when they have ended.',
    )
    .argument('[id...]', 'forwarders (4281); required if several are running')
    .option('--all', 'all forwarders of this user')
    .option('--for <seconds>', 'how long sessions may continue', parseSeconds, 10)
    .option('--json', 'print JSON')
    .action(async (ids: string[], options: DrainOptions) =>
      (await import('./commands/change.js')).drain(ids, options),
    );
  give(drain, [
    {
      command: 'spliceport drain --for 60 4281',
      effect: 'drain one forwarder, for at most a minute',
    },
    { command: 'spliceport drain --all', effect: 'drain every forwarder, for at most ten seconds' },
  ]);
}

function addTop(program: Command): void {
  const command = program
    .command('top')
    .summary('watch forwards live')
    .description(
      'Shows the traffic of all forwarders of this user, live. ' +
        'Left and right choose the column to sort by, r reverses the order, ' +
        'up, down, page up, page down, home and end scroll, ? shows the keys, q quits.',
    )
    .option('--interval <seconds>', 'time between updates', parsePeriod, 1)
    .addOption(
      new Option('--sort <column>', 'the first sort column').choices(sortKeys).default('to-host'),
    )
    .action(async (options: TopOptions) => (await import('./commands/top.js')).top(options));
  give(command, [
    { command: 'spliceport top', effect: 'show the busiest first' },
    { command: 'spliceport top --sort open', effect: 'show those with the most sessions first' },
  ]);
}

function addUi(program: Command): void {
  const command = program
    .command('ui')
    .summary('watch and change forwards in a browser')
    .description(
      'Serves a page with the traffic, the sessions and the troubles of all forwarders of this user, ' +
        'which also adds, retargets, drains and removes. ' +
        'Prints its address, which works once, and opens it if there is a display. Runs until Ctrl-C.',
    )
    .addOption(
      new Option('--listen <address>', 'serve it at this address and port')
        .argParser(parseListenAddress)
        .default({ address: '127.0.0.1', port: 0 }, '127.0.0.1:0, a free port'),
    )
    .option('--no-open', 'only print the address')
    .action(async (options: UiOptions) => (await import('./commands/ui.js')).ui(options));
  give(command, [
    { command: 'spliceport ui', effect: 'open the page in the browser' },
    {
      command: 'spliceport ui --no-open --listen 127.0.0.1:9470',
      effect: 'serve it at a known port, for a tunnel',
    },
  ]);
}

function parsePid(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('Not a process id.');
  return Number(text);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= MAX_SECONDS)) {
    throw new InvalidArgumentError(`Expected a number of seconds from 0 to ${MAX_SECONDS}.`);
  }
  return seconds;
}

/** 0 means never. */
function parseInterval(text: string): number {
  return Number(text) === 0 ? parseSeconds(text) : parsePeriod(text);
}

function parsePeriod(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds < MIN_INTERVAL_SECONDS) {
    throw new InvalidArgumentError(`The shortest interval is ${MIN_INTERVAL_SECONDS} seconds.`);
  }
  return seconds;
}
