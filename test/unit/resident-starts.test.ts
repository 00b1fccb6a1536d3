import { describe, expect, test, vi } from 'vitest';
import { Starts } from '../../src/resident/starts.js';

async function isOver(starts: Starts): Promise<boolean> {
  let over = false;
  void starts.over().then(() => (over = true));
  await Promise.resolve();
  await Promise.resolve();
  return over;
}

describe('starts of containers', () => {
  test('are over if there are none', async () => {
    expect(await isOver(new Starts())).toBe(true);
  });

  test('are over with the last of them', async () => {
    const starts = new Starts();
    starts.begin();
    starts.begin();
    let over = false;
    const waiting = starts.over().then(() => (over = true));
    starts.end();
    expect(await isOver(starts)).toBe(false);
    expect(over).toBe(false);
    starts.end();
    await waiting;
    expect(await isOver(starts)).toBe(true);
  });

  test('are not waited for much longer than one takes', async () => {
    vi.useFakeTimers();
    try {
      const starts = new Starts();
      starts.begin();
      let over = false;
      const waiting = starts.over().then(() => (over = true));
      await vi.advanceTimersByTimeAsync(49);
      expect(over).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      await waiting;
      expect(starts.areUnderWay).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});
