import { expect, it } from 'vitest';
import { hello, httpd } from './harness/podman-host.js';
import { describePodman } from './harness/suite.js';

describePodman('podman run -p on the default network', (host) => {
  it('answers on every address of the host, of both families', async () => {
    const port = await host().sockets.freePorts();
    await host().run('-p', `${port}:80`, ...httpd);
    expect(host().isForwarded(port)).toBe(true);
    await host().fetchSoon({ port });
    for (const address of ['127.0.0.1', '127.0.0.2', '192.0.2.2', '::1', '2001:db8::2']) {
      expect(await host().fetch({ port, address })).toBe(hello);
    }
  });
});
