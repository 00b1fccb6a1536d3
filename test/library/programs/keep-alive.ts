// keep-alive.ts: makes a forwarder, does one thing with it, and ends when nothing keeps it alive.

import { Engine, Forwarder } from '../../../src/index.js';

const [deed = '', pid = ''] = process.argv.slice(2);
const spec = { host: { address: '127.0.0.1', port: 0 }, container: { port: 80 } };
const forwarder = new Forwarder({ netns: { pid: Number(pid) } });

const deeds: Record<string, () => unknown> = {
  nothing: () => undefined,
  'a failed add': () => forwarder.add('bad').catch(() => undefined),
  'a removed forward': async () => forwarder.remove((await forwarder.add(spec)).id),
  'an unref': () => forwarder.unref().add(spec),
  'an unref after the add': () => forwarder.add(spec).then(() => forwarder.unref()),
  'a forward': () => forwarder.add(spec),
  'an unref taken back': () =>
    forwarder
      .unref()
      .add(spec)
      .then(() => forwarder.ref()),
  'a forward of another on the same engine': () =>
    shared((one, other) => {
      one.unref();
      return other.add(spec);
    }),
  'an unref of both on one engine': () =>
    shared(async (one, other) => {
      await other.add(spec);
      one.unref();
      other.unref();
    }),
  'the end of the only one with a forward on an engine': () =>
    shared(async (one, other) => {
      await other.add(spec);
      await one.remove((await one.add(spec)).id);
      await other.close();
    }),
};

function shared(deed: (one: Forwarder, other: Forwarder) => unknown): unknown {
  const engine = new Engine();
  const options = { engine, netns: { pid: Number(pid) } };
  return deed(new Forwarder(options), new Forwarder(options));
}

await deeds[deed]?.();
process.stdout.write('done\n');
