// options.ts: the command line of the benchmark.

import { parseArgs } from 'node:util';

/** What the person asked for. */
export interface BenchOptions {
  readonly scenarios: readonly string[];
  readonly drivers: readonly string[];
  readonly rounds: number;
  /** The same for the scenarios of containers, which are short. */
  readonly containerRounds: number;
  /** Length of one measurement. Unit: seconds. */
  readonly seconds: number;
  /** What goes before it unmeasured. Unit: seconds. */
  readonly warmup: number;
  /** Where to write the results, in place of bench/results/. */
  readonly json?: string;
  /** Results of an earlier run to write the pages from, in place of measuring. */
  readonly from?: string;
  /** Whether docs/benchmarks.md and its charts are written. */
  readonly docs: boolean;
  readonly list: boolean;
}

/** The text for `--help`. */
export const USAGE = `Usage: npm run bench -- [options]
  --scenario NAME   a scenario, the start of names with *, a group (tcp, udp, containers, life), default or all; repeatable
  --driver SPEC     KIND[:LABEL][=FOLDER][,NAME=VALUE]..., for example spliceport:old=/tmp/old/libexec; repeatable.
                    FOLDER has the program; for the other projects' programs it may be a Debian root
  --rounds N        measurements of each program in each scenario (5)
  --container-rounds N
                    the same for the scenarios of the group containers, which are short (as --rounds)
  --seconds S       length of one measurement (0.7)
  --warmup S        load before each measurement (0.2)
  --json FILE       write the results there instead of bench/results/
  --from FILE       write the pages from these results and measure nothing
  --docs            write docs/benchmarks.md and its charts (default for a run of all default scenarios and drivers)
  --no-docs         do not write them
  --list            list scenarios and drivers, and what is missing`;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) {
    throw new RangeError(`Expected a number above 0 for --${name} but received ${text}`);
  }
  return value;
}

function words(values: readonly string[] | undefined): string[] {
  return (values ?? []).flatMap((value) => value.split(/\s+/)).filter((word) => word !== '');
}

/**
 * Reads the arguments behind `npm run bench --`; undefined when they ask for help.
 * @throws TypeError or RangeError when they cannot be understood
 */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string', multiple: true },
      driver: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '5' },
      'container-rounds': { type: 'string' },
      seconds: { type: 'string', default: '0.7' },
      warmup: { type: 'string', default: '0.2' },
      json: { type: 'string' },
      from: { type: 'string' },
      docs: { type: 'boolean' },
      'no-docs': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const scenarios = words(values.scenario);
  const drivers = words(values.driver);
  const rounds = Math.ceil(positive('rounds', values.rounds));
  const containerRounds = values['container-rounds'] ?? values.rounds;
  const whole = scenarios.length === 0 && drivers.length === 0;
  return {
    scenarios,
    drivers,
    rounds,
    containerRounds: Math.ceil(positive('container-rounds', containerRounds)),
    seconds: positive('seconds', values.seconds),
    warmup: positive('warmup', values.warmup),
    ...(values.json === undefined ? {} : { json: values.json }),
    ...(values.from === undefined ? {} : { from: values.from }),
    docs: !values['no-docs'] && (values.docs ?? (whole || values.from !== undefined)),
    list: values.list,
  };
}
