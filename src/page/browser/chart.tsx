// chart.tsx: the traffic of the last minutes as two lines.

import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatRate } from '../format.js';
import { GAP_MS, SPAN_MS, type Sample } from './series.js';

const MARGIN = { top: 10, right: 4, bottom: 22, left: 4 } as const;
const STEPS = [1, 2, 5, 10];
/** Below this the axis would be about nothing. Unit: bytes per second. */
const MIN_TOP = 1_000;

type Key = 'toContainer' | 'toHost';

/** A round figure that is not below the largest one. */
function topOf(samples: readonly Sample[]): number {
  const most = samples.reduce(
    (max, { toContainer, toHost }) => Math.max(max, toContainer, toHost),
    MIN_TOP,
  );
  const power = 10 ** Math.floor(Math.log10(most));
  return power * (STEPS.find((step) => step * power >= most) ?? 10);
}

interface Scale {
  readonly x: (atMs: number) => number;
  readonly y: (rate: number) => number;
}

/** The line of one direction, broken where nobody has looked; `closed` for the area below it. */
function pathOf(samples: readonly Sample[], key: Key, { x, y }: Scale, closed: boolean): string {
  let path = '';
  let begin = 0;
  let last: Sample | undefined;
  const close = (): void => {
    if (closed && last !== undefined) path += `L${x(last.atMs)} ${y(0)}L${begin} ${y(0)}Z`;
  };
  for (const sample of samples) {
    const isJoined = last !== undefined && sample.atMs - last.atMs < GAP_MS;
    if (!isJoined) {
      close();
      begin = x(sample.atMs);
    }
    path += `${isJoined ? 'L' : 'M'}${x(sample.atMs)} ${y(sample[key])}`;
    last = sample;
  }
  close();
  return path;
}

const round = (value: number): number => Math.round(value * 10) / 10;

function useWidth(): [(element: HTMLElement | null) => void, number] {
  const [element, setElement] = useState<HTMLElement | null>(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [setElement, width];
}

interface ChartProps {
  readonly samples: readonly Sample[];
  readonly nowMs: number;
  readonly height: number;
  /** What it is of, for those who do not see it. */
  readonly label: string;
}

/** The chart, with the figures under the pointer. */
export function Chart({ samples, nowMs, height, label }: ChartProps): JSX.Element {
  const [ref, width] = useWidth();
  const pointer = useRef<number | undefined>(undefined);
  const [, redraw] = useState(0);
  const top = topOf(samples);
  const bottomY = height - MARGIN.bottom;
  const scale: Scale = {
    x: (atMs) =>
      round(
        width - MARGIN.right - ((nowMs - atMs) / SPAN_MS) * (width - MARGIN.left - MARGIN.right),
      ),
    y: (rate) => round(bottomY - (rate / top) * (bottomY - MARGIN.top)),
  };
  const at = pointer.current;
  const pointed = at === undefined ? undefined : nearest(samples, scale, at);
  const last = samples.at(-1);
  const move = (x: number | undefined): void => {
    pointer.current = x;
    redraw((count) => count + 1);
  };
  return (
    <figure class="chart" ref={ref}>
      <svg
        role="img"
        aria-label={`${label}, the last five minutes. Now ${formatRate(last?.toContainer ?? 0)} to container, ${formatRate(last?.toHost ?? 0)} to host.`}
        width={width}
        height={height}
        onPointerMove={(event) => move(event.offsetX)}
        onPointerLeave={() => move(undefined)}
      >
        <Axes width={width} top={top} scale={scale} nowMs={nowMs} bottomY={bottomY} />
        {(['toHost', 'toContainer'] as const).map((key) => (
          <g key={key} class={key}>
            <path class="area" d={pathOf(samples, key, scale, true)} />
            <path class="line" d={pathOf(samples, key, scale, false)} />
          </g>
        ))}
        {pointed && (
          <line
            class="pointer"
            x1={scale.x(pointed.atMs)}
            x2={scale.x(pointed.atMs)}
            y1={MARGIN.top}
            y2={bottomY}
          />
        )}
      </svg>
      {pointed && (
        <Readout sample={pointed} nowMs={nowMs} x={scale.x(pointed.atMs)} width={width} />
      )}
    </figure>
  );
}

function nearest(samples: readonly Sample[], { x }: Scale, at: number): Sample | undefined {
  const distance = ({ atMs }: Sample): number => Math.abs(x(atMs) - at);
  return samples.reduce<Sample | undefined>(
    (best, each) => (best === undefined || distance(each) < distance(best) ? each : best),
    undefined,
  );
}

interface AxesProps {
  readonly width: number;
  readonly top: number;
  readonly scale: Scale;
  readonly nowMs: number;
  readonly bottomY: number;
}

function Axes({ width, top, scale, nowMs, bottomY }: AxesProps): JSX.Element {
  return (
    <g class="axes">
      {[0, 0.5, 1].map((part) => {
        const y = scale.y(top * part);
        return (
          <g key={part}>
            <line x1={0} x2={width} y1={y} y2={y} />
            {part > 0 && (
              <text x={2} y={y + 13}>
                {formatRate(top * part)}
              </text>
            )}
          </g>
        );
      })}
      {[4, 3, 2, 1].map((minutes) => (
        <text key={minutes} class="time" x={scale.x(nowMs - minutes * 60_000)} y={bottomY + 16}>
          −{minutes} min
        </text>
      ))}
      <text class="time last" x={width - MARGIN.right} y={bottomY + 16}>
        now
      </text>
    </g>
  );
}

interface ReadoutProps {
  readonly sample: Sample;
  readonly nowMs: number;
  readonly x: number;
  readonly width: number;
}

function Readout({ sample, nowMs, x, width }: ReadoutProps): JSX.Element {
  const seconds = Math.round((nowMs - sample.atMs) / 1_000);
  return (
    <figcaption
      class="readout"
      style={x > width / 2 ? { right: `${width - x + 10}px` } : { left: `${x + 10}px` }}
    >
      <span class="muted">{seconds === 0 ? 'now' : `${seconds} s ago`}</span>
      <span class="toContainer">{formatRate(sample.toContainer)}</span>
      <span class="toHost">{formatRate(sample.toHost)}</span>
    </figcaption>
  );
}

/** The traffic of both directions as one small line. */
export function Sparkline({ samples, nowMs }: Pick<ChartProps, 'samples' | 'nowMs'>): JSX.Element {
  const [width, height] = [84, 22];
  const most = samples.reduce(
    (max, each) => Math.max(max, each.toContainer + each.toHost),
    MIN_TOP,
  );
  const sums = samples.map(({ atMs, toContainer, toHost }) => ({
    atMs,
    toContainer: toContainer + toHost,
    toHost: 0,
  }));
  const scale: Scale = {
    x: (atMs) => round(width - ((nowMs - atMs) / SPAN_MS) * width),
    y: (rate) => round(height - 2 - (rate / most) * (height - 4)),
  };
  return (
    <svg class="sparkline" width={width} height={height} aria-hidden="true">
      <path d={pathOf(sums, 'toContainer', scale, false)} />
    </svg>
  );
}
