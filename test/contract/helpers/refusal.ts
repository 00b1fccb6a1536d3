// refusal.ts: what a run that fails must look like from outside, whatever it failed for.

import { expect } from 'vitest';
import { isRefused } from '../../helpers/tcp-client.js';
import { within } from '../../helpers/wait.js';
import type { Caller } from './run.js';
import { Run, type RunOptions } from './run.js';

/**
 * Runs the helper and expects it to refuse: the text and a line break on standard output and
 * nothing on standard error, exit code 1, never ready, no file left but the shared folder, and no
 * port left open.
 */
export async function expectRefusal(
  caller: Caller,
  input: string | Buffer | object,
  text: string | RegExp,
  options: RunOptions & { readonly ports?: readonly number[]; readonly withinMs?: number } = {},
): Promise<void> {
  await using run = new Run(input, options);
  const { stdout, ...rest } = await within(run.outcome, 'a refusal', options.withinMs);
  expect(stdout).toMatch(/^[^\n]+\n$/);
  if (typeof text === 'string') expect(stdout).toBe(`${text}\n`);
  else expect(stdout.trimEnd()).toMatch(text);
  expect(rest).toEqual({ code: 1, signal: null, stderr: '' });
  expect(await within(run.readiness, 'the end of readiness')).toBe('');
  expect(caller.files().filter((file) => file !== 'rp')).toEqual([]);
  for (const port of options.ports ?? []) {
    expect(await isRefused({ port }), `port ${port} is free again`).toBe(true);
  }
}
