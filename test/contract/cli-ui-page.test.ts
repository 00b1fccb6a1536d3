// The page of `spliceport ui` in Chromium: what it shows, what it does, with a keyboard, on a
// phone, and with many rows.

import axe, { type AxeResults } from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Container } from '../helpers/container.js';
import { FakeForwarder, forwardWith, sessionWith, statsWith } from '../helpers/fake-forwarder.js';
import { askTcp, connectTcp, isRefused, nextText } from '../helpers/tcp-client.js';
import { isMissing, type Tool } from '../helpers/tools.js';
import { until } from '../helpers/wait.js';
import { CliRun, controlFolder } from './helpers/cli.js';

const tool: Tool = { command: 'chromium', package: 'chromium' };
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 900 };

let browser: Browser;
let page: Page;
let run: CliRun;
let problems: string[] = [];

/** A page that has been opened by the address that is printed. */
async function openPage(viewport = DESKTOP): Promise<void> {
  run = new CliRun(['ui', '--no-open']);
  const [, url = ''] = await run.until(() => /^(http:\S+)\n/.exec(run.stdout), 'its address');
  const context = await browser.newContext({ viewport, reducedMotion: 'reduce' });
  page = await context.newPage();
  page.setDefaultTimeout(10_000);
  problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(url);
}

async function closePage(): Promise<void> {
  await page.context().close();
  await run[Symbol.asyncDispose]();
}

const button = (name: string | RegExp) => page.getByRole('button', { name });
const row = (name: string | RegExp) => page.getByRole('row').filter({ hasText: name });
const dialog = (name: string | RegExp) => page.getByRole('dialog', { name });

/** Runs a text in the page: this program has no types of a browser. */
const inPage = <T>(code: string): Promise<T> => page.evaluate<T>(code);

/** What axe finds wrong, in words. */
async function accessibilityProblems(): Promise<string[]> {
  await inPage(axe.source);
  const { violations } = await inPage<AxeResults>('axe.run()');
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

describe.skipIf(isMissing(tool, 'the page of spliceport ui'))('the page', () => {
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox'],
    });
  });
  afterAll(() => browser.close());

  describe('without forwarders', () => {
    beforeEach(() => openPage());
    afterEach(closePage);

    test('says what to do, and shows one that starts', async () => {
      await page.getByText('No forwarder of yours is running').waitFor();
      expect(await page.getByText('spliceport forward 8080:80').isVisible()).toBe(true);
      expect(await button('Add forward').isDisabled()).toBe(true);
      expect(new URL(page.url()).search).toBe('');
      await using fake = await FakeForwarder.start(controlFolder, 1);
      fake.setForwards(1);
      await row('127.0.0.1:8001').waitFor();
      expect(await page.getByText('No forwarder of yours is running').count()).toBe(0);
      expect(problems).toEqual([]);
    });

    test('says when spliceport ui has ended', async () => {
      await page.getByText('Live').waitFor();
      await run.end();
      await page.getByRole('alert').getByText('spliceport ui does not answer').waitFor();
    });
  });

  describe('with a real forwarder', () => {
    let container: Container;
    let port: number;
    let otherPort: number;
    let forwarder: CliRun;
    let hostPort: number;

    beforeAll(async () => {
      container = await Container.start();
      ({ port } = await container.tcp({ kind: 'echo' }));
      ({ port: otherPort } = await container.tcp({ kind: 'echo' }));
      await openPage();
    });
    afterAll(async () => {
      await closePage();
      await container.stop();
    });
    beforeEach(async () => {
      const args = ['forward', '--json', `127.0.0.1:0:${port}`, '--pid', `${container.pid}`];
      forwarder = new CliRun(args);
      hostPort = (await forwarder.event('ready')).forwards[0]?.host.port ?? 0;
      await page.goto(new URL('/', page.url()).href);
    });
    afterEach(() => forwarder[Symbol.asyncDispose]());

    test('shows a session, and the rates of what goes through it', async () => {
      const client = await connectTcp({ port: hostPort });
      await row(`127.0.0.1:${hostPort}`).waitFor();
      await button(/^Sessions 1/).click();
      const { localPort = 0 } = client;
      await row(`127.0.0.1:${localPort}`).waitFor();
      client.write('x'.repeat(50_000));
      await nextText(client);
      client.resume();
      await row(`127.0.0.1:${localPort}`).getByText('50 kB').first().waitFor();
      client.destroy();
      await page.getByText('There is no open session').waitFor();
      expect(problems).toEqual([]);
    });

    test('adds a forward with a limit, and explains what cannot be added', async () => {
      await button('Add forward').click();
      const add = dialog('Add a forward');
      await add.getByLabel('Ports').fill(`127.0.0.1:${hostPort}:${port}`);
      await add.getByRole('button', { name: 'Add' }).click();
      await add
        .getByRole('alert')
        .getByText(/already|in use/)
        .waitFor();
      await add.getByLabel('Ports').fill(`127.0.0.1:0:${port}`);
      await add.getByText('Limits').click();
      await add.getByLabel('Deny').fill('127.0.0.0/8');
      await add.getByRole('button', { name: 'Add' }).click();
      await page.getByRole('status').getByText('Added').waitFor();
      await until(async () => (await row('127.0.0.1:').count()) === 2, 'two rows');
      const texts = await row('127.0.0.1:').allTextContents();
      const added = texts.map((text) => Number(/^127\.0\.0\.1:(\d+)tcp/.exec(text)?.[1]));
      const other = added.find((each) => each !== hostPort) ?? 0;
      await expect(askTcp({ port: other }, 'word')).rejects.toThrow();
    });

    test('gives a forward a new target', async () => {
      await button(new RegExp(`^127.0.0.1:${hostPort}`)).click();
      await button('Retarget').click();
      await page.getByLabel('Port', { exact: true }).fill(String(otherPort));
      await dialog(/^New target/)
        .getByRole('button', { name: 'Retarget' })
        .click();
      await dialog(new RegExp(`${hostPort}`))
        .getByText(`→ 127.0.0.1:${otherPort}`)
        .waitFor();
      expect(await askTcp({ port: hostPort }, 'word')).toBe('word');
    });

    test('removes a forward, but not if that is cancelled, and says in its panel that it is gone', async () => {
      await button(new RegExp(`^127.0.0.1:${hostPort}`)).click();
      await button('Remove').click();
      await button('Cancel').click();
      expect(await dialog(/^Remove/).count()).toBe(0);
      expect(await askTcp({ port: hostPort }, 'word')).toBe('word');
      await button('Remove').click();
      await dialog(/^Remove/)
        .getByRole('button', { name: 'Remove' })
        .click();
      await page.getByText('This forward is gone').waitFor();
      await until(() => isRefused({ port: hostPort }), 'the port is free');
    });

    test('drains a forwarder, which then has gone', async () => {
      await button(/^Forwarders/).click();
      await button(new RegExp(`^Drain ${forwarder.pid}, 1 forward`)).click();
      await dialog(/^Drain/)
        .getByLabel(/^Seconds/)
        .fill('1');
      await dialog(/^Drain/)
        .getByRole('button', { name: 'Drain' })
        .click();
      await page.getByText('No forwarder of yours is running').waitFor();
      await until(() => isRefused({ port: hostPort }), 'the port is free');
    });

    test('says that a forwarder has ended while it is looked at', async () => {
      await button(new RegExp(`^127.0.0.1:${hostPort}`)).click();
      await forwarder.end('SIGKILL');
      await page.getByText(`Forwarder ${forwarder.pid} (spliceport forward) has ended.`).waitFor();
      await page.getByText('This forward is gone').waitFor();
    });
  });

  describe('with 200 forwards and 10,000 sessions', () => {
    let fake: FakeForwarder;
    const SESSIONS = 10_000;

    beforeAll(async () => {
      fake = await FakeForwarder.start(controlFolder, 1);
      fake.setForwards(200);
      fake.forwards[6] = forwardWith({ id: 7, warning: 'The server sees the container.' });
      fake.sessions = Array.from({ length: SESSIONS }, (_, number) =>
        sessionWith(number, { forwardId: 1 + (number % 200), ageMs: number }),
      );
      fake.stats.set(1, statsWith({ sessionsOpen: SESSIONS }));
      await openPage();
    });
    afterAll(async () => {
      await closePage();
      await fake[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      await page.setViewportSize(DESKTOP);
      await page.getByRole('searchbox').fill('');
      await button(/^Forwards /).click();
      await inPage('scrollTo(0, 0)');
    });

    test('lists troubles first, and the rest by port', async () => {
      await row('127.0.0.1:8001').waitFor();
      fake.stats.set(9, statsWith({ connectFailures: 3, connectError: 'EHOSTUNREACH' }));
      await page
        .getByText('3 sessions could not reach the target (EHOSTUNREACH)')
        .first()
        .waitFor();
      expect(
        await page.getByRole('heading', { name: '2 troubles in the last minute' }).count(),
      ).toBe(1);
      const texts = await page.getByRole('row').allTextContents();
      const hosts = texts.slice(1, 5).map((text) => /^\S+:(\d+)tcp/.exec(text)?.[1]);
      expect(hosts).toEqual(['8009', '8007', '8001', '8002']);
    });

    test('has only the rows in sight in the document, and those of the end once it is scrolled to', async () => {
      await button(/^Sessions 10,000/).click();
      await page.getByRole('row').nth(1).waitFor();
      const rows = page.getByRole('table', { name: 'Sessions' });
      expect(await rows.getAttribute('aria-rowcount')).toBe(String(SESSIONS + 1));
      expect(await page.getByRole('row').count()).toBeLessThan(60);
      await inPage('scrollTo(0, document.body.scrollHeight)');
      await page.locator(`[aria-rowindex="${SESSIONS + 1}"]`).waitFor();
      expect(await page.getByRole('row').count()).toBeLessThan(60);
    });

    test('filters and sorts 10,000 sessions without a frame that takes long', async () => {
      await button(/^Sessions 10,000/).click();
      await page.getByRole('row').nth(1).waitFor();
      await inPage(`
        longestMs = 0;
        new PerformanceObserver((list) => {
          for (const { duration } of list.getEntries()) longestMs = Math.max(longestMs, duration);
        }).observe({ type: 'longtask' });
      `);
      await page.getByRole('searchbox').fill('1/77 tcp');
      await until(async () => (await row(/1\/77/).count()) > 10, 'rows of one forward');
      expect(await row(/1\/78/).count()).toBe(0);
      await page.getByRole('searchbox').fill('');
      await button('Age').click();
      await until(
        async () => (await page.getByRole('row').nth(1).textContent())?.startsWith('10.0.39.15:'),
        'the oldest first',
      );
      const header = page.getByRole('columnheader', { name: 'Age' });
      expect(await header.getAttribute('aria-sort')).toBe('descending');
      // A tenth of it on an idle machine.
      expect(await inPage<number>('longestMs')).toBeLessThan(1_000);
    });

    test('is used by keyboard: filter, rows, a panel and back', async () => {
      await page.keyboard.press('/');
      expect(await inPage('document.activeElement.type')).toBe('search');
      await page.keyboard.type('804');
      await until(async () => (await page.getByRole('row').count()) === 11, 'ten rows');
      await button(/^127\.0\.0\.1:8040/).focus();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await dialog('127.0.0.1:8041/tcp').waitFor();
      await page.keyboard.press('Escape');
      await dialog('127.0.0.1:8041/tcp').waitFor({ state: 'detached' });
      const focused = await inPage<string>('document.activeElement.textContent');
      expect(focused).toContain('127.0.0.1:8041');
    });

    test.each(['light', 'dark'] as const)(
      'has no accessibility problems that axe finds, %s',
      async (colorScheme) => {
        await page.emulateMedia({ colorScheme });
        const background = await inPage(
          'getComputedStyle(document.documentElement).backgroundColor',
        );
        expect(background).toBe(colorScheme === 'light' ? 'rgb(246, 247, 248)' : 'rgb(15, 18, 20)');
        expect(await accessibilityProblems()).toEqual([]);
        await button(/^Forwarders/).click();
        expect(await accessibilityProblems()).toEqual([]);
        await button(/^Add a forward to 1/).click();
        expect(await accessibilityProblems()).toEqual([]);
        await page.keyboard.press('Escape');
      },
    );

    test('fits a phone', async () => {
      await page.setViewportSize(PHONE);
      for (const name of [/^Forwards/, /^Sessions/, /^Forwarders/]) {
        await button(name).click();
        await page.getByRole('row').first().waitFor();
        const overflow = await inPage('document.documentElement.scrollWidth - innerWidth');
        expect(overflow).toBe(0);
      }
      await button(/^Forwards/).click();
      await page.getByRole('combobox', { name: 'Sort by' }).selectOption('Target');
      await row(/^127\.0\.0\.1:8009/)
        .getByRole('button')
        .click();
      const panel = await dialog('127.0.0.1:8009/tcp').boundingBox();
      expect(panel).toMatchObject({ x: 0, width: PHONE.width });
      await page.keyboard.press('Escape');
    });

    test('is painted within a second of its address, with the rows of all forwards', async () => {
      await page.reload();
      await row('127.0.0.1:8001').waitFor();
      const paintMs = await inPage<number>(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime",
      );
      expect(paintMs).toBeLessThan(1_000);
      expect(problems).toEqual([]);
    });

    test('has no connection while the page is hidden', async () => {
      await inPage(`
        Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
        document.dispatchEvent(new Event('visibilitychange'));
      `);
      const quiet = async (): Promise<boolean> => {
        const before = fake.calls;
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        return fake.calls === before;
      };
      await until(quiet, 'nobody is asked', 10_000);
    });
  });
});
