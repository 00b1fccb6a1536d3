// Where the helper listens, and where it leads to.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { askTcp, isRefused } from '../helpers/tcp-client.js';
import { iproute2, isMissing } from '../helpers/tools.js';
import { UdpSocket } from '../helpers/udp-socket.js';
import { executable, freePort, freePorts, Run } from './helpers/run.js';
import { useHelper } from './helpers/use-helper.js';

const fixture = useHelper();

const families = ['127.0.0.1', '::1'] as const;

beforeAll(async () => {
  await fixture.container.udp({ port: fixture.echo.port, echo: true });
});

/** Whether a datagram comes back, within a time that is ample on a loopback. */
async function answersUdp(address: string, to = fixture.port): Promise<boolean> {
  using client = await UdpSocket.bind({ address: address.includes(':') ? '::1' : '127.0.0.1' });
  await client.send('hello', to, address);
  try {
    await client.next(300);
    return true;
  } catch {
    return false;
  }
}

/** Which of the addresses answer, by protocol. */
async function answering(addresses: readonly string[], protocol: string): Promise<string[]> {
  const answers = await Promise.all(
    addresses.map((address) =>
      protocol === 'tcp'
        ? isRefused({ address, port: fixture.port }).then((refused) => !refused)
        : answersUdp(address),
    ),
  );
  return addresses.filter((_, index) => answers[index]);
}

describe('the host socket', () => {
  const candidates = [...families, '127.0.0.2'];
  for (const protocol of ['tcp', 'udp'] as const) {
    test.for<[string, string, string[]]>([
      [protocol, '', candidates],
      [protocol, '0.0.0.0', candidates],
      [protocol, '::', candidates],
      [protocol, '127.0.0.1', ['127.0.0.1']],
      [protocol, '127.0.0.2', ['127.0.0.2']],
      [protocol, '::1', ['::1']],
      [`${protocol}4`, '0.0.0.0', ['127.0.0.1', '127.0.0.2']],
      [`${protocol}4`, '', ['127.0.0.1', '127.0.0.2']],
      [`${protocol}6`, '::', ['::1']],
      [`${protocol}6`, '::1', ['::1']],
    ])('of %s on %j answers on %j', async ([asked, host_ip, expected]) => {
      const config = fixture.caller.config([fixture.mapping({ protocol: asked, host_ip })], {
        ChildIP: '127.0.0.1',
      });
      await using run = await new Run(config).ready();
      expect(await answering(candidates, protocol)).toEqual(expected);
      for (const address of expected) {
        if (protocol === 'tcp') {
          expect(await askTcp({ address, port: fixture.port }, 'hello')).toBe('hello');
        }
      }
      await run.letGo();
    });
  }

  test('for a range is one for each port, in order', async () => {
    const services = [];
    for (let offset = 1; offset <= 5; offset++) {
      const greeting = { kind: 'greet', text: String(offset) } as const;
      services.push(await fixture.container.tcp(greeting, { port: 20_000 + offset }));
    }
    fixture.port = await freePorts(5);
    const range = { range: 5, container_port: 20_001, protocol: 'tcp,udp' };
    await using run = await new Run(fixture.caller.config([fixture.mapping(range)])).ready();
    const greetings = [0, 1, 2, 3, 4].map((offset) => askTcp({ port: fixture.port + offset }));
    expect(await Promise.all(greetings)).toEqual(['1', '2', '3', '4', '5']);
    await run.letGo();
    for (const service of services) await service.close();
  });

  test('for both protocols can be beside those of other mappings', async () => {
    const other = await freePort();
    const old = {
      hostPort: other,
      containerPort: fixture.echo.port,
      protocol: 'udp',
      hostIP: '127.0.0.1',
    };
    const config = fixture.caller.config([fixture.mapping({ protocol: 'udp,tcp' }), old]);
    await using run = await new Run(config).ready();
    expect(await askTcp({ port: fixture.port }, 'hello')).toBe('hello');
    expect(await answersUdp('::1')).toBe(true);
    expect(await answersUdp('127.0.0.1', other)).toBe(true);
    await run.letGo();
  });

  test('for each of a thousand ports is opened, and closed at the exit', async () => {
    const first = await freePorts(1_000);
    const range = fixture.mapping({ host_port: first, range: 1_000 });
    await using run = await new Run(fixture.caller.config([range])).ready();
    const ports = Array.from({ length: 1_000 }, (_, offset) => first + offset);
    const refusals = () => Promise.all(ports.map((each) => isRefused({ port: each })));
    expect(new Set(await refusals())).toEqual(new Set([false]));
    await run.letGo();
    expect(new Set(await refusals())).toEqual(new Set([true]));
  });
});

describe('the target of a published port', () => {
  const greet = (address: string) => ({ kind: 'greet', text: address }) as const;
  const servers = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '::1'];
  let serverPort: number;

  beforeAll(async () => {
    serverPort = (await fixture.container.tcp(greet('127.0.0.1'))).port;
    for (const address of servers.slice(1)) {
      await fixture.container.tcp(greet(address), { address, port: serverPort });
    }
  });

  test.for<[string, string, string, string]>([
    ['', '', '127.0.0.1', '127.0.0.1'],
    ['', '', '::1', '127.0.0.1'],
    ['', '::', '::1', '127.0.0.1'],
    ['', '0.0.0.0', '127.0.0.1', '127.0.0.1'],
    ['', '127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['', '127.0.0.2', '127.0.0.2', '127.0.0.2'],
    ['', '::1', '::1', '::1'],
    ['127.0.0.3', '', '127.0.0.1', '127.0.0.3'],
    ['127.0.0.3', '127.0.0.2', '127.0.0.2', '127.0.0.3'],
    ['127.0.0.3', '::1', '::1', '127.0.0.3'],
    ['::1', '', '127.0.0.1', '::1'],
    ['0:0::1', '127.0.0.2', '127.0.0.2', '::1'],
    ['::ffff:127.0.0.2', '', '::1', '127.0.0.2'],
  ])('of ChildIP %j and host_ip %j, for %s, is %s', async ([ChildIP, host_ip, address, target]) => {
    const config = fixture.caller.config(
      [fixture.mapping({ host_ip, container_port: serverPort })],
      {
        ChildIP,
      },
    );
    await using run = await new Run(config).ready();
    expect(await askTcp({ address, port: fixture.port })).toBe(target);
    await run.letGo();
  });
});

const addresses = 'the target by the host’s addresses';
describe.skipIf(isMissing(iproute2, addresses))(addresses, () => {
  let host: Container;
  const own = ['10.77.0.1', '10.77.0.2'];

  beforeAll(async () => {
    host = await Container.start();
    for (const address of own) {
      for (const side of [host, fixture.container]) {
        await side.run('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
      }
    }
  });
  afterAll(() => host.stop());

  /** What a client on that host reads from a connection. */
  const ask = (address: string) =>
    host.run(
      process.execPath,
      '-e',
      `net.connect(${fixture.port}, '${address}').pipe(process.stdout)`,
    );

  const inside = () => ['nsenter', '--net', '-t', String(host.pid), executable];

  test.for([
    ['10.77.0.1', '127.0.0.1'],
    ['10.77.0.2', '10.77.0.2'],
  ])('is for %s, which may be the first address, %s', async ([host_ip = '', target = '']) => {
    const service = await fixture.container.tcp(
      { kind: 'greet', text: target },
      { address: target, port: 0 },
    );
    const config = fixture.caller.config([
      fixture.mapping({ host_ip, container_port: service.port }),
    ]);
    await using run = await new Run(config, { command: inside() }).ready();
    expect(await ask(host_ip)).toBe(target);
    await run.letGo();
    await service.close();
  });

  test('is never connected to from a loopback address, which the container would trust', async () => {
    const service = await fixture.container.tcp(
      { kind: 'greet', text: '' },
      { address: '10.77.0.2' },
    );
    const config = fixture.caller.config([fixture.mapping({ container_port: service.port })], {
      ChildIP: '10.77.0.2',
    });
    await using run = await new Run(config).ready();
    for (const address of families) await askTcp({ address, port: fixture.port });
    const clients = (await service.seen()).map(({ from }) => from.split(' ')[0]);
    expect(clients).toEqual(['10.77.0.2', '10.77.0.2']);
    await run.letGo();
    await service.close();
  });

  test('is reached on a host without IPv6', async () => {
    const setting = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
    await host.run('sh', '-c', `echo 1 > ${setting}`);
    const config = fixture.caller.config([fixture.mapping({ container_port: fixture.echo.port })]);
    await using run = await new Run(config, { command: inside() }).ready();
    const talk = `net.connect(${fixture.port}, '127.0.0.1').end('hello').pipe(process.stdout)`;
    expect(await host.run(process.execPath, '-e', talk)).toBe('hello');
    await run.letGo();
    await host.run('sh', '-c', `echo 0 > ${setting}`);
  });
});
