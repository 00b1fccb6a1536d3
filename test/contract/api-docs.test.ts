// Runs every example of the README and of docs/, in a network namespace of its own, and compares
// what it prints with its comments. Holds the tables of docs/api.md against the types.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as api from '../../src/index.js';
import { Container } from '../helpers/container.js';
import { bundle } from '../helpers/program.js';
import { publicTypes } from '../helpers/public-types.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const pages = ['README.md', 'docs/api.md', 'docs/control-api.md', 'docs/errors.md'];

interface Example {
  readonly name: string;
  readonly code: string;
}

const examples = pages.flatMap((page): Example[] => {
  const text = readFileSync(`${root}${page}`, 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(({ 1: code = '', index }) => ({
    name: `${page}:${text.slice(0, index).split('\n').length + 1}`,
    code: code
      .replaceAll("'spliceport'", `'${root}src/index.js'`)
      .replaceAll("'spliceport/control'", `'${root}src/control/index.js'`),
  }));
});

/** What the comments after the calls of console.log say. */
function promised(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = '']) => text);
}

let folder: string;
let container: Container;

beforeAll(async () => {
  folder = mkdtempSync(path.join(root, 'node_modules', '.cache', 'examples-'));
  container = await Container.start();
  await container.tcp({ kind: 'echo' }, { port: 80 });
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await container.stop();
});

/** Compiles the example behind a line that sets up the loopback interface of its namespace. */
function compile({ name, code }: Example): string {
  const file = path.join(folder, `${name.replaceAll(/\W/g, '-')}.ts`);
  writeFileSync(
    `${file}.up.ts`,
    `import { setInterfaceUp } from '${root}src/system.js';\nsetInterfaceUp('lo');\n`,
  );
  writeFileSync(file, `import '${file}.up.js';\n${code}`);
  return file;
}

describe('the examples in the documents', () => {
  test('are found', () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  test('compile with the project’s own settings', () => {
    const files = examples.map(compile);
    const config = ts.readConfigFile(`${root}tsconfig.json`, (file) => ts.sys.readFile(file))
      .config as object;
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
    const program = ts.createProgram(files, { ...options, noEmit: true });
    const complaints = ts
      .getPreEmitDiagnostics(program)
      .map(({ file, messageText }) => [
        file?.fileName,
        ts.flattenDiagnosticMessageText(messageText, '\n'),
      ]);
    expect(complaints).toEqual([]);
  });

  test.each(examples)('print what they say: $name', async (example) => {
    const program = bundle(new URL(`file://${compile(example)}`));
    const inNamespace = ['--net', process.execPath, program, String(container.pid)];
    const { stdout, stderr } = await run('unshare', inNamespace, { timeout: 20_000 });
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    for (const line of promised(example.code)) expect(lines).toContain(line);
  });
});

describe('docs/api.md', () => {
  const page = readFileSync(`${root}docs/api.md`, 'utf8');

  /** The fields of an interface, those within others included. */
  function fieldsOf(name: string): string[] {
    const body =
      new RegExp(`export interface ${name}(?: extends \\w+)? \\{\\n(.*?)^\\}`, 'ms').exec(
        publicTypes,
      )?.[1] ?? '';
    return [...body.matchAll(/^ +readonly (\w+)\??:/gm)].map(([, field = '']) => field);
  }

  /** The names in backticks in the section of this title. */
  function namesIn(title: string): string[] {
    const section = page.split(/^#{2,3} /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
    return [...section.matchAll(/`([\w.]+)`/g)].flatMap(([, name = '']) => name.split('.'));
  }

  test.each([
    ['ForwarderOptions', '`new Forwarder(options?)`'],
    ['EngineOptions', '`new Forwarder(options?)`'],
    ['ForwardSpec', 'A forward as an object'],
    ['Forward', '`Forward`'],
    ['TargetChange', '`retarget(ids, change)`'],
    ['CloseOptions', '`remove(ids, options?)` and `close(options?)`'],
    ['Stats', '`stats(id?)`'],
    ['Session', '`sessions()`'],
    ['EndedSession', '`onSessionsEnded`'],
    ['ForwarderEvents', 'Events'],
  ])('documents every field of %s', (name, title) => {
    const fields = fieldsOf(name);
    expect(fields.length).toBeGreaterThan(0);
    expect(namesIn(title)).toEqual(expect.arrayContaining(fields));
  });

  test('documents every exported function, class, constant and method', () => {
    const everything = page + readFileSync(`${root}docs/errors.md`, 'utf8');
    const methods = Object.getOwnPropertyNames(api.Forwarder.prototype);
    expect(methods).toContain('retarget');
    for (const name of [...Object.keys(api), ...methods]) {
      if (name !== 'constructor') expect(everything).toMatch(new RegExp(`\\b${name}\\b`));
    }
  });
});
