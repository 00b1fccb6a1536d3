import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Lingering, type Activity } from '../../src/resident/lingering.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** One that has not been asked for anything yet. */
function start(changes: Partial<Activity>) {
  const leave = vi.fn();
  const activity: Activity = {
    isUnderWay: () => false,
    isKept: () => false,
    lingers: () => [],
    isReplaced: () => false,
    ...changes,
  };
  return { leave, lingering: new Lingering(activity, leave) };
}

describe('a resident with nothing to do', () => {
  test('leaves after 300 seconds', () => {
    const { leave } = start({});
    vi.advanceTimersByTime(299_000);
    expect(leave).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(leave).toHaveBeenCalled();
  });

  test('stays as long as the most patient of its containers wants', () => {
    const { leave } = start({ lingers: () => [0, 600, 20] });
    vi.advanceTimersByTime(599_000);
    expect(leave).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(leave).toHaveBeenCalled();
  });

  test('never leaves if a container wants it to stay always', () => {
    const { leave } = start({ lingers: () => [0, 'always'] });
    vi.advanceTimersByTime(7 * 86_400_000);
    expect(leave).not.toHaveBeenCalled();
  });

  test('does what the last container wanted when there is none any more', () => {
    let lingers: (number | undefined)[] = [5];
    const { leave, lingering } = start({ lingers: () => lingers });
    lingering.remember();
    lingers = [];
    vi.advanceTimersByTime(4_000);
    expect(leave).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(leave).toHaveBeenCalled();
  });

  test('stays for a log', () => {
    const { leave } = start({ lingers: () => [0], isKept: () => true });
    vi.advanceTimersByTime(86_400_000);
    expect(leave).not.toHaveBeenCalled();
  });

  test('counts from what it was last asked for', () => {
    const { leave, lingering } = start({ lingers: () => [10] });
    vi.advanceTimersByTime(9_000);
    lingering.touch();
    vi.advanceTimersByTime(9_000);
    expect(leave).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(leave).toHaveBeenCalled();
  });
});

test('a resident whose socket is another’s leaves at once, but not while somebody waits for it', () => {
  let isUnderWay = true;
  const activity = { isKept: () => true, isReplaced: () => true, isUnderWay: () => isUnderWay };
  const { leave } = start({ ...activity, lingers: () => ['always'] });
  vi.advanceTimersByTime(60_000);
  expect(leave).not.toHaveBeenCalled();
  isUnderWay = false;
  vi.advanceTimersByTime(1_000);
  expect(leave).toHaveBeenCalled();
});
