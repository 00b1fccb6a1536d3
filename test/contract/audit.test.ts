// `npm run audit` against a registry of the test's own.

import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';

let registry: Server | undefined;

afterEach(() => registry?.close());

/** Runs the audit. @param advisories - What the registry answers; undefined: that it has none. */
async function audit(advisories: object | undefined): Promise<{ code: number; stdout: string }> {
  registry = createServer((request, response) => {
    request.resume();
    const isBulk = request.url?.endsWith('/-/npm/v1/security/advisories/bulk') === true;
    response.statusCode = isBulk && advisories !== undefined ? 200 : 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isBulk ? (advisories ?? {}) : {}));
  });
  await once(registry.listen(0, '127.0.0.1'), 'listening');
  const { port } = registry.address() as AddressInfo;
  const env = {
    ...process.env,
    npm_config_registry: `http://127.0.0.1:${port}/`,
    npm_config_fetch_retries: '0',
    // Signatures are checked with keys of a server that the test does not have.
    https_proxy: `http://127.0.0.1:${port}`,
  };
  const run = spawn(process.execPath, ['scripts/audit.mjs'], { env });
  const [stdout, closing] = await Promise.all([text(run.stdout), once(run, 'close')]);
  const [code] = closing as [number];
  return { code, stdout };
}

const advisory = (title: string) => ({
  id: 1,
  url: 'https://example.invalid/1',
  title,
  severity: 'high',
  vulnerable_versions: '*',
  cwe: [],
  cvss: { score: 0, vectorString: null },
});

test('an audit fails for an advisory on what users install, and names it', async () => {
  const { code, stdout } = await audit({ zod: [advisory('reads beyond its end')] });
  expect(code).toBe(1);
  expect(stdout).toMatch(/advisories on dependencies: 1\n {2}zod .*: high: reads beyond its end\n/);
});

test('an audit tells of one on a development tool, and does not fail for it', async () => {
  const { code, stdout } = await audit({ vitest: [advisory('prints secrets')] });
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /dependencies: nothing to report\n.*tools: 1\n {2}vitest .*prints secrets/,
  );
});

test('an audit says that a registry has no advisories, and does not fail for it', async () => {
  const { code, stdout } = await audit(undefined);
  expect(code).toBe(0);
  expect(stdout).toMatch(/advisories on dependencies: not checked, the registry has none \(.*404/);
});
