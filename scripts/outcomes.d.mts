// outcomes.d.mts: the types of outcomes.mjs, for its test.

/** A test, or what else has failed, and how. */
export interface Failure {
  readonly name: string;
  readonly details: readonly string[];
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Outcome extends Counts {
  readonly failures: readonly Failure[];
  /** Names of what has passed, but not at first. */
  readonly retried: readonly string[];
}

/** How a program that runs doctest's cases has ended. */
export interface Ending {
  readonly status: number | null;
  readonly signal?: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function noOutcome(): Outcome;
export function sumOf(outcomes: readonly Outcome[]): Outcome;
export function doctestCounts(report: string): Counts | undefined;
export function failedCases(report: string, root: string): Failure[];
export function filterFor(name: string): string;
export function hasOnlyFailedCases(ending: Ending): boolean;
export function whatElse(ending: Ending): Failure;
export function vitestOutcome(modules: readonly unknown[], unhandled: readonly unknown[]): Outcome;
export function lastLines(outcome: Outcome): string[];
