// few-descriptors.ts: adds and retargets when the last free descriptor goes to the library, so that
// the engine gets none. Prints what failed, and how many descriptors were open before and after.

import { closeSync, openSync, readdirSync } from 'node:fs';
import { Forwarder, SpliceportSystemError } from '../../../src/index.js';

const [first, second] = process.argv.slice(2).map(Number);

/** Leaves so many descriptors free while it calls. */
async function withFree(count: number, call: () => Promise<unknown>): Promise<string> {
  const taken: number[] = [];
  const before = readdirSync('/proc/self/fd').length;
  let outcome = 'nothing failed';
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    for (const fd of taken.splice(-count)) closeSync(fd);
  }
  try {
    await call();
  } catch (error) {
    if (!(error instanceof SpliceportSystemError)) throw error;
    outcome = `${error.code} ${error.side} ${error.hint?.includes(': 100 now')}`;
  }
  for (const fd of taken) closeSync(fd);
  return `${outcome}, ${readdirSync('/proc/self/fd').length - before} left open`;
}

const spec = { host: { address: '127.0.0.1', port: 0 }, container: { port: 80 } };
const forwarder = new Forwarder({ netns: { pid: first ?? 0 } });
// One for the host's socket, one for the namespace.
console.log(await withFree(2, () => forwarder.add(spec)));
const { id } = await forwarder.add(spec);
console.log(await withFree(1, () => forwarder.retarget(id, { netns: { pid: second ?? 0 } })));
console.log(forwarder.list().length, forwarder.get(id)?.netnsPath === `/proc/${first}/ns/net`);
await forwarder.close();
