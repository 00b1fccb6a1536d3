// man.mjs: writes docs/spliceport.1 from the commands of lib/cli/program.js and the texts below.
// `node scripts/man.mjs --print` prints it instead.

import { writeFileSync } from 'node:fs';
import { examplesOf } from '../lib/cli/examples.js';
import { buildProgram } from '../lib/cli/program.js';

/** The last option of every command is --help. */
const LINES_OF_HELP_OPTION = 3;

/**
 * When the page was last changed by more than its layout; a date of the day would make every run
 * another page.
 */
const DATE = '2026-11-30';

const target = new URL('../docs/spliceport.1', import.meta.url);

const program = buildProgram(() => undefined);
const help = program.createHelp();

/** A letter that roff would take for its own, at the beginning of a line or in it. */
const escape = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '\\[u2026]')
    .replaceAll('’', '\\(cq')
    .replaceAll("'", '\\(aq')
    .replace(/^\./, '\\&.');

const bold = (text) => `.B ${escape(text)}`;

/** Parts of a line in bold, roman, bold, …; roff joins them. */
const alternate = (parts) => `.BR ${parts.map((part) => `"${escape(part)}"`).join(' ')}`;

const section = (title, ...lines) => [`.SH ${title}`, ...lines];
const entry = (title, text) => ['.TP', title, escape(text)];
const paragraph = (text) => ['.PP', escape(text)];

/** `--drain <seconds>` with its name in bold and its value in italics. */
function optionTitle(flags) {
  const marked = flags.replaceAll(/-[\w-]+|<[^>]+>/g, (word) =>
    word.startsWith('<') ? `\\fI${escape(word.slice(1, -1))}\\fR` : `\\fB${escape(word)}\\fR`,
  );
  return marked;
}

function optionText(option) {
  const facts = [];
  if (option.argChoices) facts.push(`one of ${option.argChoices.join(', ')}`);
  if (option.defaultValue !== undefined) facts.push(`default: ${option.defaultValue}`);
  return facts.length === 0 ? option.description : `${option.description} (${facts.join('; ')})`;
}

const options = (command) =>
  help
    .visibleOptions(command)
    .flatMap((option) => ['.TP', optionTitle(option.flags), escape(optionText(option))]);

function commandLines(command) {
  const terms = command.registeredArguments.map((argument) => help.argumentTerm(argument));
  const synopsis = command.usage().replace(/\[options\] ?/, '');
  return [
    `.SS "${escape(`${command.name()} ${synopsis}`.trim())}"`,
    escape(command.description()),
    ...command.registeredArguments.flatMap((argument, index) => [
      '.TP',
      `\\fI${escape(terms[index])}\\fR`,
      escape(
        argument.description + (argument.argChoices ? `: ${argument.argChoices.join(', ')}` : ''),
      ),
    ]),
    ...options(command).slice(0, -LINES_OF_HELP_OPTION),
    ...examplesOf(command).flatMap(({ command: line, effect }) => [
      '.PP',
      escape(`${effect[0].toUpperCase()}${effect.slice(1)}:`),
      '.PP',
      '.RS 4',
      '.EX',
      escape(line),
      '.EE',
      '.RE',
    ]),
  ];
}

const page = [
  '.\\" Made by scripts/man.mjs. Do not edit.',
  `.TH SPLICEPORT 1 "${DATE}" "spliceport" "User Commands"`,
  '.ad l',
  ...section('NAME', 'spliceport \\- forward ports of the host to containers'),
  ...section(
    'SYNOPSIS',
    '.B spliceport',
    '[\\fIoptions\\fR] \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]',
  ),
  ...section(
    'DESCRIPTION',
    escape(program.description()),
    ...paragraph(
      'A forward is one protocol, one address and port of the host, and one target in the network namespace of a container. ' +
        'A process with forwards is a forwarder: "spliceport forward", the rootlessport helper of each rootless Podman container, and every program of the library that opens a control socket. ' +
        'The other commands list, watch and change the forwarders of this user.',
    ),
    ...paragraph(
      "A forwarder's id is its process id (4281); further forwarders of that process are 4281-1, 4281-2 and so on. A forward's id is the forwarder's id and a number (4281/1). While only one forwarder is running, the number is enough.",
    ),
  ),
  ...section('OPTIONS', ...options(program)),
  ...section('COMMANDS', ...program.commands.flatMap((command) => commandLines(command))),
  ...section(
    'PRIVILEGES',
    escape(
      'Entering the network namespace of a container takes CAP_SYS_ADMIN in the user namespace that owns it. ' +
        'Root has it. For the rootless containers of this user, and for other namespaces that were created without privileges, ' +
        '"spliceport forward" runs itself again inside that user namespace, through nsenter(1). ' +
        'It needs a process in that user namespace; with --netns, it looks for one in /proc.',
    ),
  ),
  ...section(
    'EXIT STATUS',
    ...[
      [
        0,
        'Success. "spliceport forward" was stopped by SIGINT, SIGTERM, SIGHUP or "spliceport drain".',
      ],
      [1, 'Any failure without a code of its own.'],
      [
        2,
        'Usage error: an argument is missing, unknown or malformed; or the settings file is invalid.',
      ],
      [3, 'Not found: the container, process, namespace, forwarder or forward.'],
      [4, 'Permission denied: a privilege is missing.'],
      [5, 'The host port is in use.'],
    ].flatMap(([code, text]) => entry(bold(String(code)), text)),
  ),
  ...section(
    'ENVIRONMENT',
    ...entry(
      bold('SPLICEPORT_CONTROL_DIR'),
      'The folder of control sockets, instead of the defaults.',
    ),
    ...entry(
      bold('XDG_RUNTIME_DIR'),
      'Control sockets are in its subfolder spliceport; if it is not set, in /run/user/UID/spliceport or /tmp/spliceport-UID.',
    ),
    ...entry(
      bold('SPLICEPORT_CONFIG'),
      'The settings file, instead of the defaults; /dev/null for none.',
    ),
    ...entry(
      bold('XDG_CONFIG_HOME'),
      'The settings file is spliceport/config.json in it; if it is not set, in ~/.config.',
    ),
    ...entry(bold('NO_COLOR'), 'If set to anything, no colors.'),
    ...entry(
      bold('SPLICEPORT_NODE'),
      "For Podman's helper, libexec/rootlessport: the node to start, instead of the one that installed it.",
    ),
    ...entry(
      bold('SPLICEPORT_DOCKER_TARGET'),
      "For dockerd's proxy, libexec/docker-proxy: bridge has all connections cross the bridge.",
    ),
  ),
  ...section(
    'FILES',
    ...entry(
      bold('~/.config/spliceport/config.json'),
      'Settings of this user, for all forwarders. If it is invalid, a helper applies only the settings that limit who may connect; if those are invalid, the container does not start.',
    ),
    ...entry(bold('/etc/spliceport/config.json'), 'Settings of users without a file of their own.'),
  ),
  ...section(
    'SEE ALSO',
    ['nsenter (1)', 'podman (1)', 'network_namespaces (7)', 'user_namespaces (7)']
      .map((name) => alternate(name.split(' ')).concat(' ,'))
      .join('\n')
      .replace(/ ,$/, ''),
  ),
];

const text = `${page.join('\n')}\n`;
if (process.argv.includes('--print')) process.stdout.write(text);
else writeFileSync(target, text);
