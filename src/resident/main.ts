// main.ts: the resident: one process for all of a user's containers, which decides what their shims
// carry where. Shims start it, and it leaves when there is nothing left to do. Its listening socket
// is descriptor 3.

import { Resident } from './resident.js';

// The bundles that are loaded later have no library of their own.
export * from '../index.js';
export * from '../system.js';
export * from '../unix-listener.js';

const LISTENER_FD = 3;

// By default it lets every user of this machine run code in this process: Node's inspector asks
// nobody who he is.
process.on('SIGUSR1', () => undefined);
const resident = new Resident(LISTENER_FD, () => process.exit(0));
process.on('uncaughtException', (error: unknown) => resident.tellOfFault(error));
