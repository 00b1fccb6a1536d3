import { describe, expect, test } from 'vitest';
import { TrafficMeter } from '../../src/cli/forward/traffic.js';

const totals = (bytesToContainer: number, bytesToHost: number, sessionsTotal: number) => ({
  bytesToContainer,
  bytesToHost,
  sessionsTotal,
});

describe('TrafficMeter', () => {
  test('gives no rates at first, whatever was relayed before', () => {
    expect(new TrafficMeter().read(totals(1_000, 2_000, 3), 50)).toEqual({
      bytesToContainerPerSecond: 0,
      bytesToHostPerSecond: 0,
      sessionsPerSecond: 0,
    });
  });

  test('gives the increase since the last reading, per second', () => {
    const meter = new TrafficMeter();
    meter.read(totals(1_000, 2_000, 3), 1_000);
    expect(meter.read(totals(2_000, 5_000, 4), 1_500)).toEqual({
      bytesToContainerPerSecond: 2_000,
      bytesToHostPerSecond: 6_000,
      sessionsPerSecond: 2,
    });
  });

  test('gives zero if no time has passed, or if the totals were reset', () => {
    const meter = new TrafficMeter();
    meter.read(totals(1_000, 2_000, 3), 1_000);
    expect(meter.read(totals(9_000, 9_000, 9), 1_000).bytesToHostPerSecond).toBe(0);
    expect(meter.read(totals(0, 0, 0), 2_000).bytesToHostPerSecond).toBe(0);
  });
});
