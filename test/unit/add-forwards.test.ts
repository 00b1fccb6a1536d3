import { describe, expect, test, vi } from 'vitest';
import { SpliceportSystemError, type ForwardSpec } from '../../src/index.js';
import { addWithSettings } from '../../src/engines/podman/add-forwards.js';

const port: ForwardSpec = { host: { port: 80 }, container: { port: 80 } };
const gated: ForwardSpec = { ...port, deny: ['10.0.0.0/8'] };
const rules = {
  specsFor: () => [{ ...gated, sourceAddress: 'transparent' as const }],
  gatesFor: () => [gated],
};

describe('settings of forwards that the library rejects', () => {
  test('are dropped with a notice, while the gates stay in force', async () => {
    const addAll = vi.fn().mockRejectedValueOnce(new Error('no')).mockResolvedValueOnce([]);
    const tell = vi.fn();
    await addWithSettings({ addAll }, [port], { ...rules, tell });
    expect(addAll.mock.calls.at(-1)).toEqual([[gated]]);
    expect(tell).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^cannot apply the settings.*: no$/),
    );
  });

  test('open no port if the gates are rejected too', async () => {
    const addAll = vi.fn().mockRejectedValue(new Error('no'));
    const adding = addWithSettings({ addAll }, [port], { ...rules, tell: vi.fn() });
    await expect(adding).rejects.toThrow(/^ports do not open without .*: no$/);
    for (const [specs] of addAll.mock.calls) expect(specs).toMatchObject([{ deny: gated.deny }]);
  });

  test('are not dropped if the host’s port is in use', async () => {
    const taken = new SpliceportSystemError({ errno: -98, syscall: 'bind' }, { side: 'host' });
    const addAll = vi.fn().mockRejectedValue(taken);
    await expect(addWithSettings({ addAll }, [port], { ...rules, tell: vi.fn() })).rejects.toBe(
      taken,
    );
    expect(addAll).toHaveBeenCalledTimes(1);
  });
});
