// set-up-commands.ts: the commands about the machine and this installation: settings, Podman,
// doctor, completion.

import type { Command } from 'commander';
import type { EnableOptions } from './commands/enable.js';
import { addLogOptions } from './commands/log-options.js';
import type { RootlessKitOptions } from './commands/port-driver.js';
import { settingsActions, type SettingsOptions } from './commands/settings-actions.js';
import { give } from './examples.js';
import type { SetExitCode } from './program.js';

/** Adds them, in the order in which help shows them. */
export function addSetUpCommands(program: Command, setExitCode: SetExitCode): void {
  addSettings(program, setExitCode);
  addEnable(program);
  addRootlessKit(program, setExitCode);
  addStatus(program, setExitCode);
  addDoctor(program, setExitCode);
  addCompletion(program);
}

function addSettings(program: Command, setExitCode: SetExitCode): void {
  const command = program
    .command('settings')
    .summary('check the settings file, or show the settings in effect')
    .description(
      'Checks the settings file, or shows the settings in effect: those of the file, and defaults for the rest. ' +
        'Without FILE, it uses the file that forwarders of this user read.',
    )
    .addArgument(program.createArgument('<action>', 'what to do').choices(settingsActions))
    .argument('[file]', 'a settings file')
    .option('--json', 'print JSON')
    .action(async (action: string, file: string | undefined, options: SettingsOptions) => {
      const { settings } = await import('./commands/settings.js');
      setExitCode(settings(action, file, options));
    });
  give(command, [
    { command: 'spliceport settings check', effect: 'report errors by line and column' },
    {
      command: 'spliceport settings check draft.json',
      effect: 'check a file before you put it in place',
    },
    {
      command: 'spliceport settings show --json',
      effect: 'print the settings in effect, for a program',
    },
  ]);
}

/** Engines that can be made to use spliceport. */
const engines = ['podman', 'docker'] as const;

function addEnable(program: Command): void {
  const engine = () => program.createArgument('<engine>', 'the container engine').choices(engines);
  const enable = program
    .command('enable')
    .summary('make a container engine use spliceport')
    .description(
      'Makes rootless Podman start spliceport for the ports of its containers, from their next start on. ' +
        'Writes one file of its own, spliceport.conf in ~/.config/containers/containers.conf.d, and changes no other. ' +
        'For rootless Docker (docker --rootless), writes a user unit and a drop-in for docker.service.',
    )
    .addArgument(engine())
    .option('--rootless', 'with docker: the rootless Docker of this user')
    .option('--system', 'for all users, in /etc/containers; only root can')
    .option('--dry-run', 'print the lines, and change nothing')
    .option('--json', 'print JSON')
    .action(async (name: string, options: EnableOptions) =>
      (await import('./commands/enable.js')).enable(name, options),
    );
  give(enable, [
    {
      command: 'spliceport enable podman',
      effect: 'use spliceport for containers started from now on',
    },
    { command: 'sudo spliceport enable podman --system', effect: 'the same, for all users' },
    {
      command: 'spliceport enable docker --rootless',
      effect: 'use spliceport for rootless Docker, from its next start on',
    },
    {
      command: 'spliceport enable podman --dry-run',
      effect: 'show the lines, and where they belong',
    },
  ]);

  const disable = program
    .command('disable')
    .summary('make a container engine use its own helper again')
    .description('Removes what "spliceport enable" wrote. Running containers keep their helper.')
    .addArgument(engine())
    .option('--rootless', 'with docker: the rootless Docker of this user')
    .option('--system', 'for all users; only root can')
    .option('--dry-run', 'print what would change, and change nothing')
    .option('--json', 'print JSON')
    .action(async (name: string, options: EnableOptions) =>
      (await import('./commands/enable.js')).disable(name, options),
    );
  give(disable, [
    { command: 'spliceport disable podman', effect: 'undo "spliceport enable podman"' },
  ]);
}

function addRootlessKit(program: Command, setExitCode: SetExitCode): void {
  const command = program
    .command('rootlesskit')
    .summary('serve the ports of a RootlessKit, such as that of rootless Docker')
    .description(
      'Serves the ports of a RootlessKit that runs with --port-driver=none, until it exits. ' +
        'Its clients, such as dockerd, find spliceport at api.sock in its state directory.',
    )
    .option(
      '--state-dir <folder>',
      'the state directory of RootlessKit (default: dockerd-rootless in $XDG_RUNTIME_DIR)',
    )
    .option('--wait', 'wait until RootlessKit runs')
    .action(async (options: RootlessKitOptions) =>
      setExitCode(await (await import('./commands/port-driver.js')).rootlesskit(options)),
    );
  addLogOptions(command);
  give(command, [
    { command: 'spliceport rootlesskit --wait', effect: 'serve rootless Docker' },
    {
      command: 'spliceport rootlesskit --state-dir /run/user/1000/rk',
      effect: 'serve a RootlessKit that is running',
    },
  ]);
}

function addStatus(program: Command, setExitCode: SetExitCode): void {
  const status = program
    .command('status')
    .summary('show whether container engines use spliceport, and what serves each container')
    .description(
      'Shows which helper Podman starts, which network its containers have by default, ' +
        'and what serves the ports of each running container: which version of spliceport, or another helper.',
    )
    .option('--json', 'print JSON')
    .action(async (options: { readonly json?: boolean }) =>
      setExitCode(await (await import('./commands/status.js')).status(options)),
    );
  give(status, [
    { command: 'spliceport status', effect: 'look at Podman of this user; as root, of all users' },
    {
      command: "spliceport status --json | jq '.podman.enabled'",
      effect: 'print true or false, for a script',
    },
  ]);

  const path = program
    .command('path')
    .summary('print the path of what container engines start')
    .description(
      'Prints a path for the configuration of a container engine: the folder of the helper for podman, or the program for ' +
        "dockerd's userland-proxy-path.",
    )
    .addArgument(
      program
        .createArgument('<engine>', 'the container engine, or the program')
        .choices(['podman', 'docker-proxy']),
    )
    .action(async (engine: string) => (await import('./commands/enable.js')).path(engine));
  give(path, [
    {
      command:
        'CONTAINERS_HELPER_BINARY_DIR="$(spliceport path podman)" podman run --network bridge -p 8080:80 nginx',
      effect: 'use spliceport for one container',
    },
  ]);
}

function addDoctor(program: Command, setExitCode: SetExitCode): void {
  const command = program
    .command('doctor')
    .summary('look for what keeps spliceport from working')
    .description(
      'Looks at the kernel, its limits, Podman and the settings for what keeps spliceport from working, or working well, ' +
        'and prints the command that fixes it. Changes nothing. Exits with 1 if there is an error.',
    )
    .option('--json', 'print JSON')
    .action(async (options: { readonly json?: boolean }) =>
      setExitCode(await (await import('./commands/doctor.js')).doctor(options)),
    );
  give(command, [{ command: 'spliceport doctor', effect: 'check this machine and this user' }]);
}

function addCompletion(program: Command): void {
  const command = program
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a completion script for a shell.')
    .addArgument(
      program.createArgument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish'] as const),
    )
    .action(async (shell: string) => {
      const { completionScript } = await import('./completion/scripts.js');
      process.stdout.write(completionScript(program, shell));
    });
  give(command, [
    {
      command: 'source <(spliceport completion bash)',
      effect: 'enable completion in this bash; put it in ~/.bashrc for every bash',
    },
    {
      command: 'spliceport completion zsh > "${fpath[1]}/_spliceport"',
      effect: 'enable completion in zsh, from its next start',
    },
    {
      command: 'spliceport completion fish > ~/.config/fish/completions/spliceport.fish',
      effect: 'enable completion in fish',
    },
  ]);
}
