// rpc.ts: the messages between a test and its programs, and the programs' end of them.

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

export type Response =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** What a program serves: functions of one argument, whose values survive JSON. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each has its own argument
export type Handlers = Record<string, (params: any) => unknown>;

/** Answers calls from the test until the test goes away, and then ends the process. */
export function serve(handlers: Handlers): void {
  process.on('message', (request: Request) => {
    void answer(handlers, request).then((response) => process.send?.(response));
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(handlers: Handlers, { id, method, params }: Request): Promise<Response> {
  try {
    const handler = handlers[method];
    if (handler === undefined) throw new Error(`no function ${method}`);
    return { id, result: await handler(params) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
