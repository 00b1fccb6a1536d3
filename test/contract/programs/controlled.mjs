// controlled.mjs: a forwarder with a control socket, as a user of the library writes it. Prints a
// line of JSON for what it does; ends when told to, or by itself.
//
//   node controlled.mjs <'ends' | 'stays' | 'throws' | 'exits' | 'churns' | 'starves'> [folder]

import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Forwarder } from '../../../lib/index.js';
import { openControlSocket } from '../../../lib/control/index.js';

const [what, folder] = process.argv.slice(2);
const tell = (value) => console.log(JSON.stringify(value));
const hasHttp = () => process.moduleLoadList.includes('NativeModule http');

const forwarder = new Forwarder();
if (what === 'churns') {
  for (let round = 0; round < 300; round++) openControlSocket(forwarder).close();
  process.exit();
}
if (what === 'starves') {
  const fds = [];
  try {
    for (;;) fds.push(openSync('/dev/null'));
  } catch {
    // That was the last. One is given back, for the folder.
    closeSync(fds.pop());
  }
  let code;
  try {
    openControlSocket(forwarder);
  } catch (error) {
    code = error.code;
  }
  for (const fd of fds) closeSync(fd);
  tell({ code });
  process.exit();
}
const socket = openControlSocket(forwarder, { program: what, ...(folder && { folder }) });
tell({ path: socket.path, hasHttp: hasHttp() });

if (what === 'throws') throw new Error('on purpose');
if (what === 'exits') process.exit(3);
if (what === 'stays') {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    if (line === 'load') tell({ hasHttp: hasHttp() });
    if (line === 'close') {
      socket.close();
      socket.close();
      tell({});
    }
    if (line === 'again') tell({ path: openControlSocket(forwarder, { folder }).path });
  }
}
