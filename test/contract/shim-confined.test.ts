// A shim that is confined: by a seccomp filter, a ban on new privileges, a low priority or low
// limits. What it starts is confined likewise, for good, so it may not start the resident that all
// containers share.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../helpers/wait.js';
import { isMissing } from '../helpers/tools.js';
import { FakeResident } from './helpers/fake-resident.js';
import { python } from './helpers/service-manager.js';
import { ownProcess, programs, ShimFolder } from './helpers/shim-folder.js';
import { section } from './helpers/shim-frames.js';

const configuration = '{"any": "text"}';

/** Installs a filter that forbids acct(2) alone, and runs a command. @see seccomp(2) */
const filter = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7fff0000, 0x00050001
acct = {'x86_64': 163}.get(os.uname().machine, 89)
steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, acct), (RETURN, 0, 0, FAIL), (RETURN, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(steps), ctypes.addressof(code)))
if libc.prctl(22, 2, ctypes.byref(program)) != 0: sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
`;

const confinements = [
  ['a seccomp filter', ['python3', '-c', filter]],
  ['a ban on new privileges', ['setpriv', '--no-new-privs']],
  ['a low priority', ['nice', '-n', '5']],
  ['a limit on memory', ['prlimit', '--as=8000000000']],
  ['a soft limit on memory', ['prlimit', '--as=8000000000:']],
  ['a limit on processor time', ['prlimit', '--cpu=1000']],
  ['few descriptors', ['prlimit', '--nofile=4095:4095']],
] as const;

let folder: ShimFolder;
beforeEach(() => {
  folder = new ShimFolder(programs.serves);
});
afterEach(() => folder[Symbol.asyncDispose]());

describe.skipIf(isMissing(python, 'confined shims')).each(confinements)(
  'a shim with %s',
  (_, before) => {
    const run = () => folder.run(configuration, { command: [...before, folder.command] });

    test('starts no resident: a process of its own serves the container', async () => {
      await using confined = run();
      expect(await confined.outcome).toEqual(ownProcess(configuration));
      expect(folder.started()).toEqual([]);
    });

    test('joins one that is there, and finds the next one when that has ended', async () => {
      const first = await FakeResident.listen(folder);
      await using confined = run();
      const { connection } = await first.greeted();
      await connection.ready();
      await confined.ready();
      await connection.request(section('K', Buffer.from([1])));
      await first[Symbol.asyncDispose]();
      await using second = await FakeResident.listen(folder);
      const { hello } = await second.greeted();
      expect(hello).toMatchObject({ isReady: true, pid: confined.pid });
      expect(folder.started()).toEqual([]);
      await confined.letGo();
    });
  },
);

test('a shim that nothing confines starts one', async () => {
  await using run = folder.run(configuration);
  await run.ready();
  await until(() => folder.started().length === 1, 'a resident');
  await run.letGo();
});
