// types.ts: what log lines are written with.

/** Takes what is to be logged: facts for programs, and a sentence for people. */
export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Takes one line of JSON with its line break. Never throws and never waits. */
export interface LineSink {
  write(line: string): void;
  /** A descriptor that leads to the same place, for what the runtime says when it aborts. */
  readonly rawFd?: number | undefined;
}
