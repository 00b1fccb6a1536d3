// What the API of RootlessKit's port driver keeps.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { Context } from '../../src/control/context.js';
import { RootlessKit } from '../../src/control/rootlesskit.js';
import type { Forward, ForwardSpec } from '../../src/index.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Adds forwards and lets go of them at once, unless they are to stay. */
class PassingForwards {
  readonly #added: WeakRef<Forward>[] = [];
  readonly #staying: Forward[] = [];
  stay = false;

  readonly add = (spec: ForwardSpec): Promise<Forward> => {
    const forward = { id: this.#added.length + 1, ...spec } as Forward;
    this.#added.push(new WeakRef(forward));
    if (this.stay) this.#staying.push(forward);
    return Promise.resolve(forward);
  };

  readonly list = (): Forward[] => this.#staying;

  /** How many are in memory. A turn of the loop lets go of what was looked at. */
  async kept(): Promise<number> {
    await new Promise((resume) => setImmediate(resume));
    collectGarbage();
    return this.#added.filter((forward) => forward.deref() !== undefined).length;
  }
}

const request = { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80 };

function start() {
  const forwarder = new PassingForwards();
  const context = { forwarder, targetFor: () => '127.0.0.1' } as unknown as Context;
  return { forwarder, rootlessKit: new RootlessKit(context) };
}

test('removed ports are forgotten even if nobody asks for the list', async () => {
  const { forwarder, rootlessKit } = start();
  for (let count = 0; count < 1_000; count++) await rootlessKit.add(request);
  expect(await forwarder.kept()).toBeLessThanOrEqual(64);
});

test('removed ports are forgotten when the list is asked for', async () => {
  const { forwarder, rootlessKit } = start();
  for (let count = 0; count < 50; count++) await rootlessKit.add(request);
  rootlessKit.list();
  expect(await forwarder.kept()).toBe(0);
});

test('open ports are listed as requested, however many were removed', async () => {
  const { forwarder, rootlessKit } = start();
  forwarder.stay = true;
  const { id } = await rootlessKit.add({ ...request, proto: 'tcp4' });
  forwarder.stay = false;
  for (let count = 0; count < 1_000; count++) await rootlessKit.add(request);
  expect(rootlessKit.list()).toEqual([{ id, spec: { ...request, proto: 'tcp4' } }]);
});
