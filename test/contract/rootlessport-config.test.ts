// The configuration on the helper's standard input is read as Go's decoder reads it, and refused
// with Go's texts.

import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { isRefused } from '../helpers/tcp-client.js';
import { expectRefusal } from './helpers/refusal.js';
import { Caller, freePort, Run } from './helpers/run.js';

const caller = new Caller();
afterAll(() => caller[Symbol.dispose]());

const MiB = 1024 * 1024;
const unmarshal = (what: string, field: string, type: string) =>
  `json: cannot unmarshal ${what} into Go struct field ${field} of type ${type}`;
const port = (what: string, name: string) =>
  unmarshal(what, `PortMapping.Mappings.${name}`, 'uint16');
const oldPort = (what: string, name: string) =>
  unmarshal(what, `PortMapping.Mappings.${name}`, 'int32');

describe('a configuration that is not JSON is rejected in one line', () => {
  test.for<[string, string | Buffer]>([
    ['nothing', ''],
    ['white space', ' \n\t '],
    ['a cut-off object', '{"NetNSPath":"/x","Mappings":[{"host_ip":'],
    ['a cut-off literal', 'nul'],
    ['a cut-off string with line breaks before it', '{\n\n"NetNSPath"\n:\n"x'],
    ['a second value after the first', '{} {}'],
    ['a stray bracket after the value', '{}]'],
    ['a leading zero', '{"ExitFD":03}'],
    ['a comma before the end', '{"ExitFD":3,}'],
    ['single quotes', "{'ExitFD':3}"],
    ['a control character in a string', '{"NetNSPath":"\u0001"}'],
    ['a byte order mark', '\ufeff{}'],
    ['bytes of every value', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ['10 MiB of random bytes', randomBytes(10 * MiB)],
    ['10 MiB of an unfinished string', `{"NetNSPath":"${'x'.repeat(10 * MiB)}`],
    ['10 MiB of opening brackets', '['.repeat(10 * MiB)],
  ])('%s', async ([, input]) => {
    await expectRefusal(caller, input, /JSON/);
  });
});

describe('a value of the wrong type is rejected', () => {
  test.for<[string, string]>([
    ['[]', 'json: cannot unmarshal array into Go value of type rootlessport.Config'],
    ['"x"', 'json: cannot unmarshal string into Go value of type rootlessport.Config'],
    ['5', 'json: cannot unmarshal number into Go value of type rootlessport.Config'],
    ['true', 'json: cannot unmarshal bool into Go value of type rootlessport.Config'],
    ['{"NetNSPath":5}', unmarshal('number', 'Config.NetNSPath', 'string')],
    ['{"NetNSPath":{"a":[1,{}]},"ExitFD":"x"}', unmarshal('object', 'Config.NetNSPath', 'string')],
    ['{"TmpDir":["/tmp"]}', unmarshal('array', 'Config.TmpDir', 'string')],
    ['{"ChildIP":false}', unmarshal('bool', 'Config.ChildIP', 'string')],
    ['{"ContainerID":1}', unmarshal('number', 'Config.ContainerID', 'string')],
    ['{"ExitFD":"3"}', unmarshal('string', 'Config.ExitFD', 'int')],
    ['{"ExitFD":3.0}', unmarshal('number 3.0', 'Config.ExitFD', 'int')],
    ['{"ExitFD":3e0}', unmarshal('number 3e0', 'Config.ExitFD', 'int')],
    ['{"ReadyFD":{}}', unmarshal('object', 'Config.ReadyFD', 'int')],
    ['{"ReadyFD":[4]}', unmarshal('array', 'Config.ReadyFD', 'int')],
    ['{"ReadyFD":true}', unmarshal('bool', 'Config.ReadyFD', 'int')],
    [
      '{"ReadyFD":9223372036854775808}',
      unmarshal('number 9223372036854775808', 'Config.ReadyFD', 'int'),
    ],
    ['{"RootlessCNI":1}', unmarshal('number', 'Config.RootlessCNI', 'bool')],
    ['{"RootlessCNI":"true"}', unmarshal('string', 'Config.RootlessCNI', 'bool')],
    ['{"Mappings":"x"}', unmarshal('string', 'Config.Mappings', '[]types.PortMapping')],
    ['{"Mappings":{}}', unmarshal('object', 'Config.Mappings', '[]types.PortMapping')],
    ['{"Mappings":[5]}', unmarshal('number', 'Config.Mappings', 'types.PortMapping')],
    ['{"Mappings":[[]]}', unmarshal('array', 'Config.Mappings', 'types.PortMapping')],
    ['{"Mappings":[{"host_port":65536}]}', port('number 65536', 'host_port')],
    ['{"Mappings":[{"host_port":-1}]}', port('number -1', 'host_port')],
    ['{"Mappings":[{"host_port":-0}]}', port('number -0', 'host_port')],
    ['{"Mappings":[{"host_port":"80"}]}', port('string', 'host_port')],
    ['{"Mappings":[{"container_port":80.0}]}', port('number 80.0', 'container_port')],
    ['{"Mappings":[{"container_port":8e1}]}', port('number 8e1', 'container_port')],
    ['{"Mappings":[{"range":70000}]}', port('number 70000', 'range')],
    [
      '{"Mappings":[{"host_ip":5,"host_port":1}]}',
      unmarshal('number', 'PortMapping.Mappings.host_ip', 'string'),
    ],
    [
      '{"Mappings":[{"range":1,"protocol":6}]}',
      unmarshal('number', 'PortMapping.Mappings.protocol', 'string'),
    ],
    ['{"Mappings":[{"hostPort":2147483648}]}', oldPort('number 2147483648', 'hostPort')],
    ['{"Mappings":[{"containerPort":80.5}]}', oldPort('number 80.5', 'containerPort')],
    [
      '{"Mappings":[{"hostIP":null,"protocol":{}}]}',
      unmarshal('object', 'PortMapping.Mappings.protocol', 'string'),
    ],
  ])('%s', async ([input, text]) => {
    await expectRefusal(caller, input, text);
  });

  test('with a report of the first of several mistakes', async () => {
    const input = '{"Mappings":[{"host_port":-5},{"host_port":-6}],"ExitFD":"x"}';
    await expectRefusal(caller, input, port('number -5', 'host_port'));
  });

  test('even if a later value of the same key is valid', async () => {
    const input = '{"ExitFD":"x","ExitFD":3,"NetNSPath":""}';
    await expectRefusal(caller, input, unmarshal('string', 'Config.ExitFD', 'int'));
  });
});

describe('nesting in a configuration', () => {
  const nested = (depth: number) => `{"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

  test('is ignored in an unknown value, up to a depth of 10,000', async () => {
    await expectRefusal(caller, nested(10_000), 'missing NetNSPath');
  });

  test.for([10_001, 5_000_000])('of the depth %i is rejected', async (depth) => {
    await expectRefusal(caller, nested(depth), 'exceeded max depth');
  });
});

describe('a large configuration is read in full', () => {
  test.for<[string, string]>([
    ['a string of 10 MiB', `{"x":"${'\\"'.repeat(5 * MiB)}"}`],
    ['10 MiB of array elements', `{"x":[${'{},'.repeat(3 * MiB)}null]}`],
    ['10 MiB of white space', `${' '.repeat(5 * MiB)}{}${'\n'.repeat(5 * MiB)}`],
    ['10 MiB of members', `{${'"":[],'.repeat(MiB + MiB / 2)}"":""}`],
  ])('%s', async ([, input]) => {
    // Millions of elements take seconds, and more beside other work.
    await expectRefusal(caller, input, 'missing NetNSPath', { withinMs: 28_000 });
  });

  test('and an error quotes a text of 10 MiB in part, on one line', async () => {
    const mapping = { host_port: 1, container_port: 1, protocol: '\u2028x'.repeat(2 * MiB) };
    await expectRefusal(
      caller,
      caller.config([mapping]),
      /^unknown proto: "(?:\\u2028x){1000}.{0,20000}$/,
    );
  });
});

describe('keys of a configuration', () => {
  const fds = '"ExitFD":3,"ReadyFD":77';

  test.for<[string, string, string]>([
    ['match without case', `{"netnspath":"/x","eXITfD":3,"READYFD":0}`, 'missing ReadyFD'],
    ['match the long s', `{"NetN\u017fPath":"/x","ExitFD":0}`, 'missing ExitFD'],
    [
      'match the Kelvin sign where they have a k',
      `{"NetNSPath":"","\u212a":1}`,
      'missing NetNSPath',
    ],
    ['do not match letters that only look alike', `{"Ne\u0442NSPath":"/x"}`, 'missing NetNSPath'],
    [
      'do not match what becomes equal in upper case only',
      '{"ROOTLE\u00dfCNI":5}',
      'missing NetNSPath',
    ],
    ['may be escaped', `{"\\u004eetNSPath":"/x",${fds}}`, 'invalid ReadyFD'],
    ['that are not known are passed over', `{"x":{"NetNSPath":1},${fds}}`, 'missing NetNSPath'],
    ['given twice: the last one counts', '{"NetNSPath":"/x","NetNSPath":""}', 'missing NetNSPath'],
    ['given twice in two spellings', '{"NetNSPath":"","netnspath":"/x"}', 'missing ExitFD'],
    [
      'given thrice in two spellings',
      '{"ExitFD":0,"exitfd":3,"ExitFD":0,"NetNSPath":"/x"}',
      'missing ExitFD',
    ],
    ['that are null leave the zero value', '{"NetNSPath":null}', 'missing NetNSPath'],
    [
      'that are null leave an earlier value',
      '{"NetNSPath":"/x","NetNSPath":null}',
      'missing ExitFD',
    ],
  ])('%s', async ([, input, text]) => {
    await expectRefusal(caller, input, text);
  });

  test('are all missing if the whole configuration is null', async () => {
    await expectRefusal(caller, 'null', 'missing NetNSPath');
  });
});

describe('text in a configuration', () => {
  test('that is not UTF-8 is read as replacement characters', async () => {
    const [before, after] = JSON.stringify(caller.config([{ host_port: 1, protocol: '<>' }])).split(
      '<>',
    );
    const input = Buffer.concat([
      Buffer.from(before ?? ''),
      Buffer.from([0xff]),
      Buffer.from(after ?? ''),
    ]);
    await expectRefusal(caller, input, 'unknown proto: "\ufffd"');
  });

  test('is quoted in errors as Go quotes it', async () => {
    const protocol = 'x"\\\n\t\u0001\u007f\u00e9\u00ad\u200b\u{1f600}\u{e0001}';
    const text =
      String.raw`unknown proto: "x\"\\\n\t\x01\x7f` +
      '\u00e9' +
      String.raw`\u00ad\u200b` +
      '\u{1f600}' +
      String.raw`\U000e0001"`;
    await expectRefusal(caller, caller.config([{ host_port: 1, protocol }]), text);
  });
});

describe('shapes of mappings', () => {
  async function mappedPorts(mappings: object[]): Promise<void> {
    await using run = new Run(caller.config(mappings));
    await run.ready();
    await run.letGo();
  }

  test('can both be in one configuration', async () => {
    const [first, second] = [await freePort(), await freePort()];
    await mappedPorts([
      { host_ip: '', container_port: 80, host_port: first, range: 1, protocol: 'tcp' },
      { hostPort: second, containerPort: 80, protocol: 'tcp', hostIP: '127.0.0.1' },
    ]);
  });

  test('have keys of their own: the old one ignores a range, the new one the old keys', async () => {
    const taken = { hostPort: 0, containerPort: 0, protocol: 'tcp' };
    await expectRefusal(caller, caller.config([{ ...taken, Range_: 0 }]), 'invalid ParentPort: 0');
    await mappedPorts([{ ...taken, range: 0 }]);
  });

  test('map one port if the range is null or missing', async () => {
    for (const range of [undefined, null, 1]) {
      const host_port = await freePort();
      await using run = new Run(
        caller.config([{ host_port, container_port: 1, protocol: 'tcp', range }]),
      );
      await run.ready();
      expect(await isRefused({ port: host_port })).toBe(false);
      expect(await isRefused({ port: host_port + 1 })).toBe(true);
      await run.letGo();
    }
  });

  test('are of the old kind if they are empty, without a protocol', async () => {
    for (const mapping of [{}, null]) {
      await expectRefusal(caller, caller.config([mapping]), 'unknown proto: ""');
    }
  });

  test('are those of the last list, or none if it is null', async () => {
    const config = JSON.stringify(caller.config([{}]));
    const replaced = config.replace(/}$/, ',"mappings":[]}');
    const emptied = config.replace(/}$/, ',"MAPPINGS":null}');
    for (const input of [replaced, emptied]) {
      await using run = new Run(input);
      await run.ready();
      expect((await run.letGo()).code).toBe(0);
    }
  });
});
