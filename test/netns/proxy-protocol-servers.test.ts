// The PROXY protocol with the servers and load balancers that people use it with.

import { once } from 'node:events';
import { createConnection } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Forwarder, type ForwardSpec } from '../../src/index.js';
import { Daemon, freePort } from '../helpers/daemon.js';
import { textToEnd } from '../helpers/tcp-client.js';
import { isMissing, type Tool } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { useContainer } from '../helpers/use-container.js';
import { until } from '../helpers/wait.js';

const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';
const nginx: Tool = {
  command: 'nginx',
  package: 'nginx-light libnginx-mod-stream',
  file: streamModule,
};
const haproxy: Tool = { command: 'haproxy', package: 'haproxy' };
const dnsdist: Tool = { command: 'dnsdist', package: 'dnsdist' };

/** An address of this machine that nothing else would call from. */
const CLIENT = '127.0.0.7';
const START_MS = 10_000;

const runNginx = ['nginx', '-e', 'FOLDER/errors', '-c', 'FILE'];
const runHaproxy = ['haproxy', '-db', '-f', 'FILE'];
const runDnsdist = ['dnsdist', '--supervised', '--disable-syslog', '-C', 'FILE'];

// Nothing else lives in the container's namespace, so any port is free.
const ports = { http: 8001, stream: 8002, haproxy: 8003, dns: 5300 };

const nginxServer = `
load_module ${streamModule};
daemon off; master_process off; user root; pid FOLDER/pid;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER; proxy_temp_path FOLDER;
  fastcgi_temp_path FOLDER; uwsgi_temp_path FOLDER; scgi_temp_path FOLDER;
  server {
    listen 127.0.0.1:${ports.http} proxy_protocol;
    return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port";
  }
}
stream {
  server {
    listen 127.0.0.1:${ports.stream} proxy_protocol;
    return "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port";
  }
}`;

const haproxyDefaults = `
defaults
  timeout client 5s
  timeout server 5s
  timeout connect 1s`;

const haproxyServer = `${haproxyDefaults}
frontend http
  mode http
  bind 127.0.0.1:${ports.haproxy} accept-proxy
  http-request return content-type text/plain lf-string "%[src] %[src_port] %[dst_port] %[fc_pp_unique_id]"`;

// Answers every question for an address with that of the client.
const dnsServer = `
setSecurityPollSuffix('')
setLocal('127.0.0.1:${ports.dns}')
setACL({'0.0.0.0/0'})
setProxyProtocolACL({'127.0.0.0/8'})
addAction(AllRule(), LuaAction(function(dq) return DNSAction.Spoof, dq.remoteaddr:toString() end))`;

const REQUEST = 'GET / HTTP/1.0\r\n\r\n';

/**
 * What a connection from CLIENT brings, without headers of HTTP, and the port that it came from.
 */
async function ask(port: number, text: string): Promise<{ answer: string; from: number }> {
  const socket = createConnection({ host: '127.0.0.1', port, localAddress: CLIENT });
  try {
    await once(socket, 'connect');
    const from = socket.localPort ?? 0;
    socket.write(text);
    return { answer: (await textToEnd(socket)).replace(/^HTTP.*\r\n\r\n/s, ''), from };
  } finally {
    socket.destroy();
  }
}

/** {@link ask}, as soon as all servers on the way have started. */
async function askStarting(port: number, text: string, daemons: readonly Daemon[]) {
  let last: unknown;
  const asking = until(
    async () => {
      const asked = await ask(port, text).catch((error: unknown) => void (last = error));
      last = asked ?? last;
      return asked?.answer.startsWith('127.') === true ? asked : undefined;
    },
    'an answer',
    START_MS,
  );
  return asking.catch((error: unknown) => {
    const outputs = daemons.map(({ output }) => output);
    throw new Error(['no answer', ...outputs, String(last)].join('\n'), { cause: error });
  });
}

/** Asks for the address of a name; the answer is that of the client, as the server sees it. */
const question = Buffer.from(
  '1234010000010000000000000377777707657861' + '6d706c650000010001',
  'hex',
);
const addressIn = (answer: Buffer): string => answer.subarray(-4).join('.');

async function askUdp(port: number): Promise<string> {
  using socket = await UdpSocket.bind({ address: CLIENT });
  return await until(
    async () => {
      await socket.send(question, port);
      const answer = await socket.next(200).catch(() => undefined);
      return answer && addressIn(answer.data);
    },
    'an answer to a question by UDP',
    START_MS,
  );
}

const fixture = useContainer();

const to = (port: number, more: Partial<ForwardSpec>): ForwardSpec => ({
  host: { address: '127.0.0.1', port: 0 },
  container: { port },
  ...more,
});
const believing = { acceptProxy: true, trustedProxies: ['127.0.0.1'] };

describe.skipIf(isMissing(nginx, 'PROXY headers to nginx'))('nginx', () => {
  test.each(['proxy-v1', 'proxy-v2'] as const)(
    'reads the client from %s',
    async (sourceAddress) => {
      await using server = new Daemon(runNginx, nginxServer, fixture.container);
      await using forwarder = new Forwarder({ netns: fixture.container.netns });
      const http = await forwarder.add(to(ports.http, { sourceAddress }));
      const stream = await forwarder.add(to(ports.stream, { sourceAddress }));
      const first = await askStarting(http.host.port, REQUEST, [server]);
      expect(first.answer).toBe(`${CLIENT} ${first.from} ${http.host.port}`);
      // Speaks first: the header must not wait for the client.
      const second = await ask(stream.host.port, '');
      expect(second.answer).toBe(`${CLIENT} ${second.from} ${stream.host.port}`);
    },
  );

  test('in front passes the client’s address on', async () => {
    await using server = new Daemon(runNginx, nginxServer, fixture.container);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(
      to(ports.http, { ...believing, sourceAddress: 'proxy-v2' }),
    );
    const port = await freePort();
    await using front = new Daemon(
      runNginx,
      `load_module ${streamModule};
      daemon off; master_process off; user root; pid FOLDER/pid;
      events {}
      stream {
        server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${host.port}; proxy_protocol on; }
      }`,
    );
    const { answer, from } = await askStarting(port, REQUEST, [server, front]);
    expect(answer).toBe(`${CLIENT} ${from} ${port}`);
  });
});

describe.skipIf(isMissing(haproxy, 'PROXY headers to HAProxy'))('HAProxy', () => {
  test('reads the client’s address, and a unique id from version 2', async () => {
    await using server = new Daemon(runHaproxy, haproxyServer, fixture.container);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const v1 = await forwarder.add(to(ports.haproxy, { sourceAddress: 'proxy-v1' }));
    const v2 = await forwarder.add(to(ports.haproxy, { sourceAddress: 'proxy-v2' }));
    const first = await askStarting(v1.host.port, REQUEST, [server]);
    expect(first.answer.trimEnd()).toBe(`${CLIENT} ${first.from} ${v1.host.port}`);
    const ids = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const { answer, from } = await ask(v2.host.port, REQUEST);
      const [client, source, destination, id = ''] = answer.split(' ');
      expect([client, source, destination]).toEqual([CLIENT, `${from}`, `${v2.host.port}`]);
      expect(id).toMatch(/^[0-9a-f]{16}$/);
      ids.add(id);
    }
    expect(ids.size).toBe(3);
  });

  test.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id'])(
    'in front with %s passes the client’s address on, and its checks pass',
    async (option) => {
      await using server = new Daemon(runHaproxy, haproxyServer, fixture.container);
      await using forwarder = new Forwarder({ netns: fixture.container.netns });
      const { host } = await forwarder.add(
        to(ports.haproxy, { ...believing, sourceAddress: 'proxy-v2' }),
      );
      const port = await freePort();
      await using front = new Daemon(
        runHaproxy,
        `${haproxyDefaults}
        listen front
          mode tcp
          bind 127.0.0.1:${port}
          unique-id-format id-%[src]
          server s 127.0.0.1:${host.port} ${option} check inter 100
        `,
      );
      const { answer, from } = await askStarting(port, REQUEST, [server, front]);
      const [client, source, destination, id] = answer.split(' ');
      expect([client, source, destination]).toEqual([CLIENT, `${from}`, `${port}`]);
      if (option.includes('unique-id')) expect(id).toBe(`id-${CLIENT}`);
      const { sessionsTotal } = forwarder.stats();
      await until(() => forwarder.stats().sessionsTotal > sessionsTotal + 3, 'health checks');
      expect(forwarder.stats()).toMatchObject({
        proxySourcesUntrusted: 0,
        proxyHeadersMalformed: 0,
        proxyHeadersLate: 0,
      });
    },
  );
});

describe.skipIf(isMissing(dnsdist, 'PROXY headers to dnsdist'))('dnsdist', () => {
  test('reads the client’s address from each datagram, and from a connection', async () => {
    await using server = new Daemon(runDnsdist, dnsServer, fixture.container);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const options = { sourceAddress: 'proxy-v2' } as const;
    const udp = await forwarder.add(to(ports.dns, { ...options, protocol: 'udp' }));
    const tcp = await forwarder.add(to(ports.dns, options));
    expect(await askUdp(udp.host.port), server.output).toBe(CLIENT);
    const length = Buffer.from([0, question.length]);
    const socket = createConnection({
      host: '127.0.0.1',
      port: tcp.host.port,
      localAddress: CLIENT,
    });
    socket.write(Buffer.concat([length, question]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(addressIn(answer)).toBe(CLIENT);
    socket.destroy();
  });

  test('in front passes the client’s address on with each datagram', async () => {
    await using server = new Daemon(runDnsdist, dnsServer, fixture.container);
    await using forwarder = new Forwarder({ netns: fixture.container.netns });
    const { host } = await forwarder.add(
      to(ports.dns, { ...believing, protocol: 'udp', sourceAddress: 'proxy-v2' }),
    );
    const port = await freePort();
    await using front = new Daemon(
      runDnsdist,
      `setSecurityPollSuffix('')
      setLocal('127.0.0.1:${port}')
      setACL({'0.0.0.0/0'})
      local back = newServer({address='127.0.0.1:${host.port}', useProxyProtocol=true})
      back:setUp()`,
    );
    expect(await askUdp(port), `${server.output} ${front.output}`).toBe(CLIENT);
    expect(forwarder.sessions().map(({ client }) => client.address)).toContain(CLIENT);
    expect(forwarder.stats()).toMatchObject({ proxyHeadersMalformed: 0, proxySourcesUntrusted: 0 });
  });
});
