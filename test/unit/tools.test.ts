import { afterEach, describe, expect, test, vi } from 'vitest';
import { isMissing } from '../helpers/tools.js';

describe('a tool that a test needs', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  const shell = { command: 'sh', package: 'dash' };

  test('is present with its further file', () => {
    expect(isMissing({ ...shell, file: '/proc/self/exe' }, 'this')).toBe(false);
  });

  test('is missing without its further file, which is named', () => {
    vi.stubEnv('CI', '');
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(isMissing({ ...shell, file: '/nonexistent/module.so' }, 'this')).toBe(true);
    const line = 'skipped: this; /nonexistent/module.so is missing: apt-get install dash\n';
    expect(write.mock.calls).toEqual([[line]]);
  });

  test('must not be missing in CI', () => {
    vi.stubEnv('CI', 'true');
    const tool = { ...shell, file: '/nonexistent/module.so' };
    expect(() => isMissing(tool, 'this')).toThrow('module.so is missing');
  });
});
