// privileges.ts: gets the right to create a network namespace, or explains why it cannot.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readSysctl } from '../sysctl.js';

const CAP_SYS_ADMIN = 21n;
const INSIDE = 'SPLICEPORT_DEMO_USER_NAMESPACE';
const userNamespace = ['--user', '--map-root-user'];

/** Kernel settings that may forbid user namespaces, with the values that allow them. */
const sysctls = [
  { name: 'user.max_user_namespaces', forbids: (value: number) => value === 0, allow: 15_000 },
  { name: 'kernel.unprivileged_userns_clone', forbids: (value: number) => value === 0, allow: 1 },
  {
    name: 'kernel.apparmor_restrict_unprivileged_userns',
    forbids: (value: number) => value === 1,
    allow: 0,
  },
];

/** Whether this process may create and enter network namespaces. @see capabilities(7) */
export function mayMakeNamespaces(): boolean {
  const effective =
    /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Whether this process was started by {@link rerunAsNamespaceRoot}. */
export function isRerun(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Why no network namespace can be created, and what to do about it; undefined if one can. */
export function obstacle(): string | undefined {
  const way = mayMakeNamespaces() ? [] : userNamespace;
  const trial = spawnSync('unshare', [...way, '--net', 'true'], { encoding: 'utf8' });
  if (trial.status === 0) return undefined;
  if (trial.error !== undefined && 'code' in trial.error && trial.error.code === 'ENOENT') {
    return 'The program unshare is missing. It is part of util-linux.';
  }
  return [
    'This user may not make a network namespace.',
    `  ${(trial.error?.message ?? trial.stderr).trim()}`,
    'Either run the demo as root, or allow user namespaces:',
    ...sysctlAdvice().map((line) => `  ${line}`),
  ].join('\n');
}

function sysctlAdvice(): string[] {
  const forbidding = sysctls.filter(({ name, forbids }) => {
    const value = readSysctl(name);
    return value !== undefined && forbids(value);
  });
  if (forbidding.length > 0) {
    return forbidding.map(
      ({ name, allow }) => `sudo sysctl ${name}=${allow}   (now ${readSysctl(name) ?? ''})`,
    );
  }
  return [
    `none of ${sysctls.map(({ name }) => name).join(', ')} forbids it;`,
    'in a container, its seccomp profile or its capabilities may (--security-opt seccomp=unconfined, --cap-add SYS_ADMIN)',
  ];
}

/**
 * Runs this program again as root of a new user namespace, still in the host's network namespace,
 * and exits with its exit code. The other process exits with this one, however this one exits,
 * because the channel between them closes.
 */
export function rerunAsNamespaceRoot(): void {
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', [...userNamespace, '--', ...again], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [INSIDE]: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
