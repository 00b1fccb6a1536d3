// use-container.ts: what tests with one container begin with.

import { afterAll, beforeAll } from 'vitest';
import { Container } from './container.js';

/** A container for all tests of a file. */
export class ContainerFixture {
  container!: Container;
}

/**
 * Registers the hooks that fill the fixture; they run before those that the file registers after
 * this call.
 */
export function useContainer(): ContainerFixture {
  const fixture = new ContainerFixture();
  beforeAll(async () => {
    fixture.container = await Container.start();
  });
  afterAll(() => fixture.container.stop());
  return fixture;
}
