// addon-path.ts: where the compiled addon is.

import { existsSync } from 'node:fs';

/** What node-gyp-build offers besides loading. */
interface NodeGypBuild {
  path(root: string): string;
}

/** Settings of node-gyp-build's that name another place. */
const overrides = ['SPLICEPORT_PREBUILD', 'PREBUILDS_ONLY', 'LIBC'];

/**
 * The addon that `npm install` compiled, or a prebuilt one for this machine; the one that
 * node-gyp-build would load. node-gyp-build itself is asked only when the usual places are empty:
 * its search takes two of the few milliseconds in which a container engine waits for the helper.
 * @throws Error when there is none.
 */
export function addonPath(root: string): string {
  if (!overrides.some((name) => process.env[name])) {
    const compiled = `${root}/build/Release/spliceport.node`;
    if (existsSync(compiled)) return compiled;
    const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
    const prebuilt = `${root}/prebuilds/linux-${process.arch}/spliceport.${libc}.node`;
    if (existsSync(prebuilt)) return prebuilt;
  }
  // Not imported, because it loads a dozen modules more, which cost a start two milliseconds.
  const { createRequire } = process.getBuiltinModule('node:module');
  const require = createRequire(import.meta.filename);
  return (require('node-gyp-build') as NodeGypBuild).path(root);
}
