// keep-alive.ts: makes a forwarder, does one thing with it, and ends when nothing keeps it alive.

import { Forwarder } from '../../../src/index.js';

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
};
await deeds[deed]?.();
process.stdout.write('done\n');
