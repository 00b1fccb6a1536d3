// The strictest set of typescript-eslint. What is off, or differs, has its reason beside it.

import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const nodeGlobals = [
  ...[
    'AbortController',
    'AbortSignal',
    'Buffer',
    'URL',
    'console',
    'fetch',
    'performance',
    'process',
  ],
  ...[
    'clearInterval',
    'clearTimeout',
    'setImmediate',
    'setInterval',
    'setTimeout',
    'structuredClone',
  ],
];

// `_name` is there for its place alone; so is what is taken out before a rest.
const unused = ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }];

const oneWordForTests = {
  name: 'vitest',
  importNames: ['it'],
  message: 'Use `test`, as all other files do.',
};

const sizes = {
  'max-lines': ['error', { max: 400 }],
  'max-lines-per-function': ['error', { max: 60 }],
};

export default defineConfig(
  globalIgnores(['build/', 'build-*/', 'lib/', 'prebuilds/', 'coverage/', 'bench/build/']),
  js.configs.recommended,
  {
    rules: {
      ...sizes,
      'no-unused-vars': unused,
      // A body on the next line has braces; one on the same line may do without.
      curly: ['error', 'multi-line', 'consistent'],
      eqeqeq: 'error',
      'object-shorthand': 'error',
    },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      'no-unused-vars': 'off',
      '@typescript-eslint/no-unused-vars': unused,
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true } }],
      // A number in a message says what it means; anything else does not.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => callThatReturnsNothing()` is how a callback is written.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A describe block is a chapter, not a function.
      'max-lines-per-function': 'off',
      'no-restricted-imports': ['error', oneWordForTests],
    },
  },
  {
    // The programs that read it want a default export.
    files: ['vitest.config.ts'],
    rules: { 'no-restricted-exports': 'off' },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])),
    },
  },
);
