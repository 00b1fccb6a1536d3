// at-exit.ts: what remains to be done when the process exits.

const atExit = new Set<() => void>();

function endAll(): void {
  for (const end of atExit) end();
}

/**
 * Calls `end` when the process exits: the engine's own hook is not run by process.exit(), and its
 * routes would stay.
 */
export function endAtExit(end: () => void): void {
  if (atExit.size === 0) process.on('exit', endAll);
  atExit.add(end);
}

/** Takes {@link endAtExit} back. */
export function forgetAtExit(end: () => void): void {
  atExit.delete(end);
  if (atExit.size === 0) process.off('exit', endAll);
}
