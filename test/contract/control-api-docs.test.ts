// Holds docs/control-api.md against the server and the types. Its example is run by
// api-docs.test.ts.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ControlClient } from '../../src/control/client.js';
import * as control from '../../src/control/index.js';
import { codeIn, rowsOf } from './helpers/doc-page.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}docs/control-api.md`, 'utf8');
const sourceOf = (name: string) => readFileSync(`${root}src/control/${name}.ts`, 'utf8');

describe('docs/control-api.md', () => {
  test('lists every call of the OpenAPI description, and no other', () => {
    const description = JSON.parse(readFileSync(`${root}docs/openapi.json`, 'utf8')) as {
      readonly paths: Readonly<Record<string, object>>;
    };
    const calls = Object.entries(description.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((method) => method !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(calls.length).toBeGreaterThan(10);
    const listed = rowsOf(page, 'Calls').map(([call]) => codeIn(call)[0]);
    expect(listed.sort()).toEqual(calls.sort());
  });

  test('lists every option, every export and every method of the client', () => {
    const body = /export interface ControlOptions \{\n(.*?)^\}/ms.exec(sourceOf('listen'))?.[1];
    const options = [...(body ?? '').matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name);
    expect(rowsOf(page, 'From a program').map(([name]) => codeIn(name)[0])).toEqual(options);
    const methods = Object.getOwnPropertyNames(ControlClient.prototype);
    for (const name of [...Object.keys(control), ...methods]) {
      if (name !== 'constructor') expect(page).toMatch(new RegExp(`\`${name}\\b`));
    }
  });

  test('documents the limits that the server has', () => {
    const server = sourceOf('server');
    const limit = (name: string) => new RegExp(`const ${name} = ([^;]+);`).exec(server)?.[1];
    expect([limit('MAX_CONNECTIONS'), '64 calls']).toEqual(['64', /64 calls/.exec(page)?.[0]]);
    expect([limit('MAX_BODY_BYTES'), '1 MiB']).toEqual(['1024 * 1024', /1 MiB/.exec(page)?.[0]]);
    expect([limit('MAX_HEADER_BYTES'), '16 KiB']).toEqual(['16 * 1024', /16 KiB/.exec(page)?.[0]]);
    expect([limit('REQUEST_TIMEOUT_MS'), '10 s']).toEqual(['10_000', /10 s\b/.exec(page)?.[0]]);
    expect([limit('RESPONSE_TIMEOUT_MS'), '30 s']).toEqual(['30_000', /30 s\b/.exec(page)?.[0]]);
  });
});
