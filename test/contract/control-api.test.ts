// Holds the control API against its description, docs/openapi.json: every answer of every
// operation, what is taken and what is refused.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { routesFor } from '../../src/control/routes.js';
import { Forwarder } from '../../src/index.js';
import { connectTcp } from '../helpers/tcp-client.js';
import { until } from '../helpers/wait.js';
import { type Reply } from './helpers/control.js';
import { freePort } from './helpers/run.js';
import { useControlled } from './helpers/use-controlled.js';

const fixture = useControlled();

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: Media;
  readonly responses: Readonly<Record<string, Media>>;
}

interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const file = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));
const description = JSON.parse(readFileSync(file, 'utf8')) as Description;

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const operations = Object.entries(description.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => METHODS.includes(method))
    .map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
);

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(description, 'openapi');

/** What is wrong with a value, by a schema within the document. */
function errorsOf(pointer: string, value: unknown): unknown {
  const validate = ajv.compile({ $ref: `openapi#${pointer}` });
  return validate(value) ? [] : validate.errors;
}

function pointerOf(...keys: string[]): string {
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A call that succeeds and one that fails, for each operation. */
const examples: Readonly<
  Record<string, { readonly good: () => Promise<Reply>; readonly bad?: () => Promise<Reply> }>
> = {
  getInfo: { good: () => fixture.controlled.call('GET', '/v1/info') },
  listPorts: { good: () => fixture.controlled.call('GET', '/v1/ports') },
  addPort: {
    good: async () => {
      const spec = { proto: 'tcp', parentPort: await freePort(), childPort: fixture.echo.port };
      return fixture.controlled.call('POST', '/v1/ports', spec);
    },
    bad: () => fixture.controlled.call('POST', '/v1/ports', { proto: 'ip' }),
  },
  removePort: {
    good: () => fixture.controlled.call('DELETE', '/v1/ports/1'),
    bad: () => fixture.controlled.call('DELETE', '/v1/ports/99'),
  },
  listForwards: { good: () => fixture.controlled.call('GET', '/v1/forwards') },
  addForwards: {
    good: () => fixture.controlled.call('POST', '/v1/forwards', { specs: ['127.0.0.1:0:80-82'] }),
    bad: () => fixture.controlled.call('POST', '/v1/forwards', { specs: [] }),
  },
  getForward: {
    good: () => fixture.controlled.call('GET', '/v1/forwards/1'),
    bad: () => fixture.controlled.call('GET', '/v1/forwards/99'),
  },
  retargetForward: {
    good: () => fixture.controlled.call('PATCH', '/v1/forwards/1', { address: '127.0.0.2' }),
    bad: () => fixture.controlled.call('PATCH', '/v1/forwards/1', { netns: { path: '/nowhere' } }),
  },
  removeForward: {
    good: () => fixture.controlled.call('DELETE', '/v1/forwards/1?drainMs=10'),
    bad: () => fixture.controlled.call('DELETE', '/v1/forwards/1?drainMs=-1'),
  },
  listSessions: {
    good: async () => {
      const client = await connectTcp({ port: fixture.forward.host.port });
      await until(() => fixture.controlled.forwarder.sessions().length, 'a session');
      const reply = await fixture.controlled.call('GET', '/v1/sessions?forwardId=1');
      client.destroy();
      return reply;
    },
    bad: () => fixture.controlled.call('GET', '/v1/sessions?forwardId=none'),
  },
  getStats: { good: () => fixture.controlled.call('GET', '/v1/stats') },
  getForwarder: { good: () => fixture.controlled.call('GET', '/v1/forwarder') },
  drain: {
    good: () => fixture.controlled.call('POST', '/v1/drain', { drainMs: 10 }),
    bad: () => fixture.controlled.call('POST', '/v1/drain', {}),
  },
  getMetrics: { good: () => fixture.controlled.call('GET', '/metrics') },
};

describe('docs/openapi.json', () => {
  test('is an OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate({ ...structuredClone(description) });
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  test('has every route of the server, and no other', () => {
    const forwarder = new Forwarder();
    const routes = routesFor({
      pid: process.pid,
      forwarder,
      version: '',
      program: '',
      container: undefined,
      notices: [],
      name: '',
      stateDir: '',
      targetFor: String,
      onDrained: () => undefined,
      openedAtMs: 0,
    });
    const served = routes.map(({ method, path }) => `${method} ${path}`).sort();
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(served);
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(
      Object.keys(examples).sort(),
    );
  });

  test.each(operations)('describes the answer of $operationId', async (operation) => {
    const { operationId, path, method, responses } = operation;
    const reply = await examples[operationId]?.good();
    const status = String(reply?.status);
    expect(Object.keys(responses), reply?.text).toContain(status);
    expect(status).toMatch(/^2/);
    const [type] = Object.keys(responses[status]?.content ?? {});
    if (type === undefined) {
      expect(reply?.text).toBe('');
    } else {
      expect(reply?.headers['content-type']).toContain(type);
      const pointer = pointerOf('paths', path, method.toLowerCase(), 'responses', status);
      const schema = `${pointer}${pointerOf('content', type, 'schema')}`;
      expect(errorsOf(schema, reply?.json ?? reply?.text)).toEqual([]);
    }
  });

  test.each(operations.filter(({ operationId }) => examples[operationId]?.bad !== undefined))(
    'describes the failure of $operationId',
    async ({ operationId }) => {
      const reply = await examples[operationId]?.bad?.();
      expect(reply?.status).toBeGreaterThanOrEqual(400);
      expect(reply?.status).toBeLessThan(500);
      expect(errorsOf('/components/schemas/Failure', reply?.json)).toEqual([]);
    },
  );

  test('describes the null that a list of no ports is', async () => {
    await fixture.controlled.forwarder.remove(1);
    const { text } = await fixture.controlled.call('GET', '/v1/ports');
    expect(text.trim()).toBe('null');
    const pointer = pointerOf('paths', '/v1/ports', 'get', 'responses', '200');
    expect(errorsOf(`${pointer}/content/application~1json/schema`, null)).toEqual([]);
  });
});

function messageLike(text: string): unknown {
  return expect.objectContaining({ message: expect.stringContaining(text) as string });
}

describe('a body of a call', () => {
  const port = { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 64_001, childPort: 80 };
  const spec = { host: { port: 0 }, container: { port: 80 } };
  const whole = {
    protocol: 'udp',
    host: { address: '127.0.0.1', port: 0 },
    container: { address: '127.0.0.2', port: 80 },
    count: 2,
    connectTimeoutMs: 1,
    udpTimeoutMs: 86_400_000,
    maxFlows: 1,
    sourceAddress: 'proxy-v2',
    acceptProxy: true,
    trustedProxies: ['127.0.0.1', 'fd00::/8'],
    proxyHeaderTimeoutMs: 1,
    maxSessions: 1,
    maxSessionsPerSecond: 1,
    allow: ['10.0.0.0/8'],
    deny: [],
  };

  test.each<[method: string, path: string, schema: string, body: unknown]>([
    ['POST', '/v1/forwards', 'AddRequest', { specs: [spec] }],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [whole, '127.0.0.1:0:80'] }],
    ['PATCH', '/v1/forwards/1', 'TargetChange', {}],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { address: '::1', port: 81 }],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { netns: { path: '/proc/self/ns/net' } }],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { netns: { pid: process.pid } }],
    ['POST', '/v1/drain', 'DrainRequest', { drainMs: 0 }],
  ])('of %s %s that is valid, by %s as well, is accepted: %j', async (method, path, name, body) => {
    expect(errorsOf(pointerOf('components', 'schemas', name), body)).toEqual([]);
    expect((await fixture.controlled.call(method, path, body)).status).toBeLessThan(300);
  });

  test.each<[method: string, path: string, schema: string, body: unknown, what: string]>([
    ['POST', '/v1/forwards', 'AddRequest', {}, 'body.specs'],
    ['POST', '/v1/forwards', 'AddRequest', null, 'body'],
    ['POST', '/v1/forwards', 'AddRequest', [], 'body'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [] }, 'body.specs'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [1] }, 'body.specs[0]'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [spec], more: 1 }, 'unknown fields: more'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, hosts: 1 }] }, 'fields: hosts'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ host: { port: 0 } }] }, 'container'],
    [
      'POST',
      '/v1/forwards',
      'AddRequest',
      { specs: [spec, { ...spec, count: '2' }] },
      'body.specs[1].count',
    ],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, count: 1.5 }] }, 'count'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, count: 0 }] }, 'count'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, protocol: 'sctp' }] }, 'protocol'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, netns: {} }] }, 'netns'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, maxFlows: 0 }] }, 'maxFlows'],
    [
      'POST',
      '/v1/forwards',
      'AddRequest',
      { specs: [{ ...spec, sourceAddress: 'x' }] },
      'sourceAddress',
    ],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, acceptProxy: 1 }] }, 'acceptProxy'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, allow: [] }] }, 'allow'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, deny: '::1' }] }, 'deny'],
    ['POST', '/v1/forwards', 'AddRequest', { specs: [{ ...spec, maxSessions: 0 }] }, 'maxSessions'],
    ['POST', '/v1/ports', 'PortSpec', { ...port, parentPort: 'x' }, 'body.parentPort'],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { port: 0 }, 'port'],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { port: 65_536 }, 'port'],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { address: 1 }, 'body.address'],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { netns: { path: 1 } }, 'body.netns'],
    ['PATCH', '/v1/forwards/1', 'TargetChange', { netns: { path: '/', pid: 1 } }, 'body.netns'],
    ['POST', '/v1/drain', 'DrainRequest', { drainMs: -1 }, 'body.drainMs'],
    ['POST', '/v1/drain', 'DrainRequest', { drainMs: 86_400_001 }, 'body.drainMs'],
    ['POST', '/v1/drain', 'DrainRequest', { drainMs: null }, 'body.drainMs'],
  ])(
    'of %s %s that is invalid, by %s as well, is rejected: %j',
    async (method, path, name, body, what) => {
      expect(errorsOf(pointerOf('components', 'schemas', name), body)).not.toEqual([]);
      const { status, json } = await fixture.controlled.call(method, path, body);
      expect({ status, json }).toEqual({
        status: 400,
        json: messageLike(what),
      });
      expect(fixture.controlled.forwarder.list()).toEqual([fixture.forward]);
    },
  );

  test.each(['', '{', 'specs', '{"specs":["8080:80"]} {}', '\u0000', '{"specs":[1e999]}'])(
    'that is not JSON is rejected: %j',
    async (body) => {
      const { status, json } = await fixture.controlled.call('POST', '/v1/forwards', body);
      expect({ status, json }).toEqual({
        status: 400,
        json: messageLike('body'),
      });
    },
  );
});
