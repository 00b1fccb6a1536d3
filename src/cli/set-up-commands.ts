// set-up-commands.ts: the commands about the machine and this installation: settings, Podman,
// doctor, completion.

import type { Command } from 'commander';
import { podmanActions, type PodmanOptions } from './commands/podman-actions.js';
import { settingsActions, type SettingsOptions } from './commands/settings-actions.js';
import { give } from './examples.js';
import type { SetExitCode } from './program.js';

/** Adds them, in the order in which help shows them. */
export function addSetUpCommands(program: Command, setExitCode: SetExitCode): void {
  addSettings(program, setExitCode);
  addPodman(program);
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

function addPodman(program: Command): void {
  const command = program
    .command('podman')
    .summary('make rootless Podman use spliceport, or show how')
    .description(
      'Shows whether rootless Podman uses spliceport, and the configuration lines that make it do so. ' +
        'enable writes them to a file of their own (run by root, for all users); disable removes that file; ' +
        'path prints the folder of the helper.',
    )
    .addArgument(
      program.createArgument('[action]', 'what to do').choices(podmanActions).default('show'),
    )
    .option('--json', 'print JSON')
    .action(async (action: string, options: PodmanOptions) =>
      (await import('./commands/podman.js')).podman(action, options),
    );
  give(command, [
    {
      command: 'spliceport podman',
      effect: 'show the lines, where they belong, and what Podman starts',
    },
    {
      command: 'spliceport podman enable',
      effect: 'use spliceport for all containers started from now on',
    },
    {
      command:
        'CONTAINERS_HELPER_BINARY_DIR="$(spliceport podman path)" podman run --network bridge -p 8080:80 nginx',
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
