// `spliceport settings`, the settings of `spliceport forward`, and the published schema and page.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSettings } from '../../src/settings/load.js';
import { Container } from '../helpers/container.js';
import { cli, CliRun } from './helpers/cli.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'spliceport-settings-cli-'));
let container: Container;
beforeAll(async () => {
  container = await Container.start();
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await container.stop();
});

function write(content: string | object): string {
  const path = join(folder, 'settings.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const withFile = (content: string | object) => ({ env: { SPLICEPORT_CONFIG: write(content) } });

describe('spliceport settings check', () => {
  test('reports that a file is valid', async () => {
    const options = withFile({ defaults: { workers: 1 } });
    const { code, stdout } = await cli(['settings', 'check'], options);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${folder}/settings.json: OK\n` });
  });

  test('reports everything that is invalid, in order, and exits with 2', async () => {
    const path = write('{"nonsense": 1,\n"defaults": {"workers": 0, "maxFlows": -1}}');
    const { code, stdout } = await cli(['settings', 'check', path]);
    expect(code).toBe(2);
    const lines = stdout.trimEnd().split('\n');
    expect(
      lines.map((line) =>
        line
          .slice(path.length + 1)
          .split(': ')
          .slice(0, 2),
      ),
    ).toEqual([
      ['1:2', 'nonsense'],
      ['2:25', 'defaults.workers'],
      ['2:40', 'defaults.maxFlows'],
    ]);
    const { stdout: json } = await cli(['settings', 'check', path, '--json']);
    expect(JSON.parse(json)).toMatchObject({
      path,
      problems: [{ path, line: 1, column: 2, key: 'nonsense' }, {}, {}],
    });
  });

  test('prints the path where a file would be read', async () => {
    const env = { SPLICEPORT_CONFIG: '', XDG_CONFIG_HOME: folder };
    const { code, stdout } = await cli(['settings', 'check'], { env });
    expect(code).toBe(0);
    expect(stdout).toContain(`${folder}/spliceport/config.json, /etc/spliceport/config.json`);
  });
});

describe('spliceport settings show', () => {
  const rules = [{ match: { hostPort: 443 }, set: { sourceAddress: 'transparent' } }];

  test('shows the effective values, what the file sets, and the rules', async () => {
    const options = withFile({ defaults: { maxFlows: 7, log: { level: 'warn' } }, rules });
    const { code, stdout } = await cli(['settings', 'show'], options);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^maxFlows +7 +file$/m);
    expect(stdout).toMatch(/^log\.level +warn +file$/m);
    expect(stdout).toMatch(/^udpTimeoutMs +90000$/m);
    expect(stdout).toMatch(/^rules\[0\] +hostPort 443 +sourceAddress transparent$/m);
  });

  test('shows the settings as JSON with --json', async () => {
    const { stdout } = await cli(['settings', 'show', '--json'], withFile({ rules }));
    const shown = JSON.parse(stdout) as { settings: object };
    expect(shown).toMatchObject({ path: `${folder}/settings.json`, problems: [], rules });
    expect(shown.settings).toMatchObject({ sourceAddress: 'container', maxFlows: 16_384 });
  });
});

describe('spliceport forward', () => {
  const args = () => ['forward', '--json', '127.0.0.1:0:80', '--pid', String(container.pid)];

  test('rejects an invalid settings file, and names the option to ignore it', async () => {
    const outcome = await cli(args(), withFile('{"defaults": {"workers": 0}}'));
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(
      /^spliceport: invalid settings file: \S+:1:26: defaults\.workers: expected .*\n.*settings check.*\/dev\/null/,
    );
    await using run = new CliRun(args(), { env: { SPLICEPORT_CONFIG: '/dev/null' } });
    await run.event('ready');
  });

  test('uses the settings file, and options override it', async () => {
    const options = withFile({ defaults: { sourceAddress: 'proxy-v2', controlSocket: false } });
    await using run = new CliRun(args(), options);
    const ready = await run.event('ready');
    expect(ready).toMatchObject({ controlSocket: null, forwards: [{ sourceAddress: 'proxy-v2' }] });
    expect(run.stderr).toBe('');
    await using other = new CliRun([...args(), '--source-address', 'container'], options);
    expect(await other.event('ready')).toMatchObject({
      forwards: [{ sourceAddress: 'container' }],
    });
  });
});

describe('the published schema of settings', () => {
  const published = readFileSync(`${root}docs/settings.schema.json`, 'utf8');
  const page = readFileSync(`${root}docs/settings.md`, 'utf8');
  const schema = JSON.parse(published) as {
    properties: { defaults: { properties: Record<string, { properties?: object }> } };
  };

  test('documents every setting, and no other, with its default', () => {
    const settings = Object.entries(schema.properties.defaults.properties).flatMap(
      ([key, { properties = {} }]) =>
        key === 'log' ? Object.keys(properties).map((inner) => `log.${inner}`) : [key],
    );
    const tables = page.slice(page.indexOf('## Defaults and rules'), page.indexOf('## Logs'));
    const documented = [...tables.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, key]) => key);
    expect(documented.sort()).toEqual([...settings, 'hostPort', 'protocol', 'containerId'].sort());
  });

  const examples = [...page.matchAll(/^```jsonc?\n(.*?)^```$/gms)].map(([, text = '']) => text);

  test('has examples', () => expect(examples.length).toBeGreaterThan(3));

  test.each(examples)('has an example that is valid for the program and the schema: %s', (text) => {
    expect(loadSettings(write(text)).problems).toEqual([]);
    const validate = new Ajv2020().compile(schema);
    const value: unknown = JSON.parse(text.replaceAll(/\/\/.*$/gm, ''));
    expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
  });
});
