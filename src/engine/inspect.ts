// inspect.ts: what console.log and util.inspect show of an object whose state is private.

/** The parts of node:util that are used; the module itself is not loaded for it. */
type Inspect = (value: unknown, options: object) => string;

/** Lets objects of a class be shown by the facts that `factsOf` gives. */
export function showByFacts<T extends object>(
  shown: { readonly name: string; readonly prototype: T },
  factsOf: (self: T) => object,
): void {
  Object.defineProperty(shown.prototype, Symbol.for('nodejs.util.inspect.custom'), {
    value(this: T, _depth: number, options: object, inspect: Inspect): string {
      return `${shown.name} ${inspect(factsOf(this), options)}`;
    },
  });
}
