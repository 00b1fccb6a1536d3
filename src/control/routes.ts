// routes.ts: what can be asked of the control API, and what each answer is made of.

import { CONNECT_LATENCY_BUCKETS_MICROS, type Forward } from '../index.js';
import type { ForwarderOperations } from '../operations.js';
import { monotonicMs } from '../util.js';
import {
  addRequest,
  checked,
  drainRequest,
  parseId,
  parseJson,
  removeQuery,
  sessionsQuery,
  targetChange,
} from './bodies.js';
import type { Context } from './context.js';
import type { Metrics } from './prometheus.js';
import { Problem } from './problem.js';
import { RootlessKit } from './rootlesskit.js';
import type { DrainReport, ForwarderInfo, StatsReport } from './control-types.js';

/** A call, as far as its meaning goes. */
export interface Call {
  /** What stands for `{id}` in the path. */
  readonly id: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer that is no failure. */
export interface Answer {
  readonly status: number;
  /** Sent as JSON; nothing is sent when it is undefined. */
  readonly json?: unknown;
  readonly text?: { readonly type: string; readonly content: string };
  /** Called when the answer has left. */
  readonly after?: () => void;
}

/** One method of one path. */
export interface Route {
  readonly method: 'DELETE' | 'GET' | 'PATCH' | 'POST';
  /** With `{id}` for a part that varies. */
  readonly path: string;
  readonly answer: (call: Call) => Answer | Promise<Answer>;
}

/** Every route, for one forwarder. */
export function routesFor(context: Context): Route[] {
  return [
    ...portRoutes(context),
    ...forwardRoutes(context),
    ...activityRoutes(context),
    ...stateRoutes(context),
  ];
}

/** The routes of RootlessKit's own clients. */
function portRoutes(context: Context): Route[] {
  const rootlessKit = new RootlessKit(context);
  return [
    { method: 'GET', path: '/v1/info', answer: () => ok(rootlessKit.info()) },
    { method: 'GET', path: '/v1/ports', answer: () => ok(rootlessKit.list()) },
    {
      method: 'POST',
      path: '/v1/ports',
      answer: async ({ body }) => ({ status: 201, json: await rootlessKit.add(parseJson(body)) }),
    },
    {
      method: 'DELETE',
      path: '/v1/ports/{id}',
      answer: async ({ id }) => {
        await rootlessKit.remove(parseId(id));
        return { status: 200 };
      },
    },
  ];
}

function forwardRoutes({ forwarder }: Context): Route[] {
  return [
    { method: 'GET', path: '/v1/forwards', answer: () => ok(forwarder.list()) },
    {
      method: 'POST',
      path: '/v1/forwards',
      answer: async ({ body }) => {
        const { specs } = checked(addRequest, parseJson(body), 'body');
        return { status: 201, json: await forwarder.addAll(specs) };
      },
    },
    {
      method: 'GET',
      path: '/v1/forwards/{id}',
      answer: ({ id }) => ok(requireForward(forwarder, parseId(id))),
    },
    {
      method: 'PATCH',
      path: '/v1/forwards/{id}',
      answer: async ({ id, body }) => {
        const { id: number } = requireForward(forwarder, parseId(id));
        await forwarder.retarget(number, checked(targetChange, parseJson(body), 'body'));
        return ok(requireForward(forwarder, number));
      },
    },
    {
      method: 'DELETE',
      path: '/v1/forwards/{id}',
      answer: async ({ id, query }) => {
        const { id: number } = requireForward(forwarder, parseId(id));
        await forwarder.remove(number, checked(removeQuery, query, 'query'));
        return { status: 200 };
      },
    },
  ];
}

function activityRoutes({ forwarder }: Context): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/sessions',
      answer: async ({ query }) => {
        const { forwardId } = checked(sessionsQuery, query, 'query');
        if (forwardId === undefined) return ok(await forwarder.sessions());
        requireForward(forwarder, forwardId);
        const sessions = await forwarder.sessions();
        return ok(sessions.filter((session) => session.forwardId === forwardId));
      },
    },
    {
      method: 'GET',
      path: '/v1/stats',
      answer: async () => {
        const each = forwarder
          .list()
          .map(async ({ id }) => ({ id, stats: await forwarder.stats(id) }));
        const [total, forwards] = await Promise.all([forwarder.stats(), Promise.all(each)]);
        const connectLatencyBucketsMicros = CONNECT_LATENCY_BUCKETS_MICROS;
        return ok({ total, forwards, connectLatencyBucketsMicros } satisfies StatsReport);
      },
    },
  ];
}

function stateRoutes(context: Context): Route[] {
  let drains = 0;
  let metrics: Metrics | undefined;
  return [
    {
      method: 'GET',
      path: '/v1/forwarder',
      answer: () => {
        const { version, pid, program, container, notices, openedAtMs } = context;
        return ok({
          version,
          pid,
          program,
          ...(container !== undefined && { container }),
          uptimeMs: Math.round(monotonicMs() - openedAtMs),
          draining: drains > 0,
          notices,
        } satisfies ForwarderInfo);
      },
    },
    {
      method: 'POST',
      path: '/v1/drain',
      answer: async ({ body }) => {
        const { drainMs } = checked(drainRequest, parseJson(body), 'body');
        drains += 1;
        try {
          return { ...ok(await drain(context, drainMs)), after: context.onDrained };
        } finally {
          drains -= 1;
        }
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      answer: async () => {
        // The library that writes them is loaded by the first who asks.
        const { Metrics } = await import('./prometheus.js');
        metrics ??= new Metrics(context);
        return { status: 200, text: await metrics.read() };
      },
    },
  ];
}

async function drain({ forwarder }: Context, drainMs: number): Promise<DrainReport> {
  const startedAt = performance.now();
  const ids = forwarder.list().map(({ id }) => id);
  const { sessionsOpen: sessions } = await forwarder.stats();
  await forwarder.remove(ids, { drainMs });
  return { forwards: ids.length, sessions, tookMs: Math.round(performance.now() - startedAt) };
}

/** The forward with this id. @throws Problem with status 404 */
function requireForward(forwarder: ForwarderOperations, id: number): Forward {
  const forward = forwarder.get(id);
  if (forward === undefined) throw new Problem(404, `unknown id: ${id}`);
  return forward;
}

function ok(json: unknown): Answer {
  return { status: 200, json };
}

/**
 * The route of a call.
 * @throws Problem when there is none
 */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly id: string } {
  const matches = routes.flatMap((route) => {
    const id = match(route.path, path);
    return id === undefined ? [] : [{ route, id }];
  });
  // HEAD is answered as GET is; node leaves out the body.
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = matches.find(({ route }) => route.method === wanted);
  if (found !== undefined) return found;
  if (matches.length === 0) throw new Problem(404, `there is no ${path}`);
  const allowed = matches
    .flatMap(({ route }) => (route.method === 'GET' ? ['GET', 'HEAD'] : route.method))
    .join(', ');
  throw new Problem(405, `${path} takes ${allowed}, not ${method}`, { allow: allowed });
}

/** What stands for `{id}`, empty where the path has none; undefined when the path is another. */
function match(template: string, path: string): string | undefined {
  if (!template.endsWith('/{id}')) return template === path ? '' : undefined;
  const prefix = template.slice(0, -'{id}'.length);
  const id = path.startsWith(prefix) ? path.slice(prefix.length) : '';
  return id === '' || id.includes('/') ? undefined : id;
}
