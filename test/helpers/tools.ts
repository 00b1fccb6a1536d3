// tools.ts: programs that a test needs and a machine may lack.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A program and the Debian package that has it. */
export interface Tool {
  readonly command: string;
  readonly package: string;
  /** A further file that it must have, such as a module. */
  readonly file?: string;
}

export const iproute2: Tool = { command: 'ip', package: 'iproute2' };
export const setpriv: Tool = { command: 'setpriv', package: 'util-linux' };
export const script: Tool = { command: 'script', package: 'bsdutils' };

/**
 * True when the tool is missing, for `describe.skipIf`; says so in one line.
 * @throws Error in CI, where nothing may be skipped.
 */
export function isMissing(tool: Tool, what: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${tool.command}`]).status === 0;
  const lacking = found ? tool.file : tool.command;
  if (lacking === undefined || (found && existsSync(lacking))) return false;
  const reason = `${lacking} is missing: apt-get install ${tool.package}`;
  if (!['', 'false', undefined].includes(process.env['CI'])) {
    throw new Error(`${what} cannot run: ${reason}`);
  }
  process.stderr.write(`skipped: ${what}; ${reason}\n`);
  return true;
}
