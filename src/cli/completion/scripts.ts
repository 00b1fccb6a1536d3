// scripts.ts: `spliceport completion`.

import type { Command } from 'commander';
import { bashScript } from './bash.js';
import { fishScript } from './fish.js';
import { describeProgram } from './command-tree.js';
import { zshScript } from './zsh.js';

/** The script for a shell: `bash`, `zsh` or `fish`. */
export function completionScript(program: Command, shell: string): string {
  const completed = describeProgram(program);
  if (shell === 'bash') return bashScript(completed);
  return shell === 'zsh' ? zshScript(completed) : fishScript(completed);
}
