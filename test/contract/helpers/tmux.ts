// tmux.ts: a real terminal for a program, whose screen a test can read.

import { execFileSync } from 'node:child_process';
import type { Tool } from '../../helpers/tools.js';
import { until } from '../../helpers/wait.js';

export const tmux: Tool = { command: 'tmux', package: 'tmux' };

/** Width and height of a terminal. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

let lastNumber = 0;

const PROMPT = 'ready> ';

/** Whether the last line of a screen is the shell's prompt, and nothing is typed there. */
const isAtPrompt = (screen: string): boolean =>
  `\n${screen.trimEnd()}`.endsWith(`\n${PROMPT.trim()}`);

/** A terminal with a shell in it; its tmux server is its own. */
export class Terminal implements Disposable {
  readonly #name = `spliceport-test-${process.pid}-${(lastNumber += 1)}`;

  /** Opens it, and waits for the shell's prompt. */
  static async open(
    size: TerminalSize,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Terminal> {
    const terminal = new Terminal(size, env);
    try {
      await terminal.untilShows(isAtPrompt, 'the prompt');
      return terminal;
    } catch (error) {
      terminal[Symbol.dispose]();
      throw error;
    }
  }

  private constructor({ columns, rows }: TerminalSize, env: Readonly<Record<string, string>>) {
    // Given to the shell itself: what tmux starts it with may set variables of its own.
    const variables = Object.entries({ PS1: PROMPT, ...env }).map(
      ([name, value]) => `${name}='${value}'`,
    );
    const size = ['-x', String(columns), '-y', String(rows)];
    const shell = `exec env ${variables.join(' ')} sh`;
    this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, shell);
    this.#tmux('set-option', '-g', 'status', 'off');
    // A test that is killed disposes of nothing.
    const untilKilled = `while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; tmux kill-server`;
    this.#tmux('run-shell', '-b', untilKilled);
  }

  /**
   * Types a line and Enter at the shell's prompt, once it is there: before that, the line would not
   * stand behind it.
   */
  async runLine(line: string): Promise<void> {
    await this.untilShows(isAtPrompt, 'the prompt');
    this.type(line);
  }

  /** Types a line and Enter. */
  type(line: string): void {
    this.text(line);
    this.keys('Enter');
  }

  /** Types characters. */
  text(characters: string): void {
    this.#tmux('send-keys', '-l', characters);
  }

  /** Presses keys, by tmux's names. */
  keys(...names: readonly string[]): void {
    this.#tmux('send-keys', ...names);
  }

  /** The lines of the screen. */
  lines(): string[] {
    return this.#tmux('capture-pane', '-p').split('\n');
  }

  /** The text of the screen with its colors, as escape sequences. */
  colors(): string {
    return this.#tmux('capture-pane', '-e', '-p');
  }

  /** The lines of the screen, once a condition holds for their text. */
  async untilShows(
    condition: RegExp | ((text: string) => boolean),
    what?: string,
  ): Promise<string[]> {
    const holds = (text: string): boolean =>
      condition instanceof RegExp ? condition.test(text) : condition(text);
    let lines: string[] = [];
    try {
      await until(() => holds((lines = this.lines()).join('\n')), '', 20_000);
    } catch {
      throw new Error(`${what ?? String(condition)} is not shown:\n${lines.join('\n')}`);
    }
    return lines;
  }

  resize({ columns, rows }: TerminalSize): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** A fact that tmux knows of the terminal, such as `alternate_on`. */
  fact(name: string): string {
    return this.#tmux('display-message', '-p', `#{${name}}`).trim();
  }

  [Symbol.dispose](): void {
    this.#tmux('kill-server');
  }

  #tmux(...args: readonly string[]): string {
    return execFileSync('tmux', ['-L', this.#name, ...args], { encoding: 'utf8' });
  }
}
