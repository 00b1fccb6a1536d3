// Many containers at once, each with its port.

import { expect, test } from 'vitest';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

const count = 50;
/** Podman's own locks serialize most of a start; a few at a time keep a small machine busy. */
const atOnce = 5;

describePodman('the helpers of many containers', (host) => {
  test(`serve ${count} containers, and leave nothing behind`, { timeout: 180_000 }, async () => {
    const first = await host().sockets.freePorts(count);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    for (let start = 0; start < count; start += atOnce) {
      const some = ports.slice(start, start + atOnce);
      await Promise.all(
        some.map((port) => host().podman('run', '-d', '-p', `${port}:80`, ...httpd)),
      );
    }
    for (const port of ports) {
      expect(host().isForwarded(port)).toBe(true);
      expect(await host().fetchSoon({ port })).toBe(hello);
    }
    expect(host().helpers()).toHaveLength(count);
    await host().clear();
    for (const port of ports) expect(await host().sockets.isFree(port)).toBe(true);
  });
});
