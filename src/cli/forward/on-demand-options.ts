// on-demand-options.ts: what --on-demand, --stop and --idle-stop ask for.

import { usageFailure } from '../failure.js';
import { ENGINES } from '../running/engines.js';

export interface OnDemandFlags {
  readonly container?: string;
  readonly follow: boolean;
  readonly onDemand?: string;
  readonly stop?: string;
  /** Unit: seconds. */
  readonly idleStop?: number;
}

/** Command lines for a shell. */
export interface OnDemandCommands {
  readonly start: string;
  readonly stop: string;
  /** After how long without a session it is stopped. Undefined: never. */
  readonly idleMs?: number;
}

/**
 * Undefined without --on-demand.
 * @throws CliFailure
 */
export function onDemandFrom(flags: OnDemandFlags): OnDemandCommands | undefined {
  const { container, follow, onDemand, stop, idleStop } = flags;
  if (onDemand === undefined) {
    if (stop === undefined && idleStop === undefined) return undefined;
    throw usageFailure('--idle-stop and --stop require --on-demand');
  }
  if (container === undefined || !follow) {
    throw usageFailure(
      '--on-demand requires --container, and excludes --no-follow',
      'A process or a namespace cannot be found again once it has ended.',
    );
  }
  const isEngine = (ENGINES as readonly string[]).includes(onDemand);
  const start = isEngine ? `${onDemand} start ${quoted(container)}` : onDemand;
  if (start.trim() === '') throw usageFailure('--on-demand requires a command');
  const stopping = stop ?? stopFor(start);
  if (idleStop === undefined) return { start, stop: stopping ?? '' };
  if (stopping === undefined) {
    throw usageFailure(
      `--idle-stop requires --stop COMMAND with ${JSON.stringify(start)}`,
      'Without --stop, the command is that of --on-demand with "stop" for its only word "start".',
    );
  }
  return { start, stop: stopping, idleMs: idleStop * 1_000 };
}

/** `podman start web` is undone by `podman stop web`, `systemctl start web` likewise. */
function stopFor(start: string): string | undefined {
  const parts = start.split(/(?<=\s)start(?=\s|$)/);
  return parts.length === 2 ? parts.join('stop') : undefined;
}

function quoted(word: string): string {
  return /^[\w.:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
