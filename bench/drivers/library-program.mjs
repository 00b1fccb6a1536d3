// library-program.mjs: spliceport as a library, in a process of its own. Arguments: the folder of
// the compiled library, and { options, forwards } as JSON. Prints a line when it is ready, and ends
// with its standard input; with the exit code 3 if servers were not shown the clients that they
// should have been.

import { once } from 'node:events';
import { pathToFileURL } from 'node:url';

const [folder, settings] = process.argv.slice(2);
const { options, forwards } = JSON.parse(settings);
const { Forwarder } = await import(pathToFileURL(`${folder}/index.js`).href);

const forwarder = new Forwarder(options);
await forwarder.addAll(forwards);
process.stdout.write('ready\n');
process.stdin.resume();
await once(process.stdin, 'end');
const { sessionsTotal, sourceAddressFallbacks = 0 } = forwarder.stats();
await forwarder.close();
// Figures of the ordinary way must not pass for those of another.
if (sourceAddressFallbacks > sessionsTotal / 100) process.exitCode = 3;
