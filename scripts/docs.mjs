// docs.mjs: writes what docs/ has of the tables in src/spec/fields.ts,
// src/settings/forwarder-fields.ts, src/log/log-fields.ts and src/spec/counters.ts: the marked
// tables of the pages, settings.schema.json, and the schemas of settings and counters in
// openapi.json; and native/relay/setting_fields.h. It reads lib/. `node scripts/docs.mjs --check`
// writes nothing and names what would change.

import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import * as z from 'zod/mini';
import { description, inDigits, meaning, plain } from '../lib/schema/words.js';
import { logFields } from '../lib/log/log-fields.js';
import { forwarderFields } from '../lib/settings/forwarder-fields.js';
import { settingsFile } from '../lib/settings/schema.js';
import { counters, forwarderMetrics, metrics } from '../lib/spec/counters.js';
import { engineFields, forwardFields, shimOrder } from '../lib/spec/fields.js';

const docs = new URL('../docs/', import.meta.url);
const read = (file) => readFileSync(new URL(file, docs), 'utf8');

// Tables of the pages

const code = (text) => `\`${text}\``;
const codes = (values) => values.map((value) => code(JSON.stringify(value))).join(', ');
const withUnit = (text, unit) => (unit === undefined ? text : `${text} ${unit}`);

/** `default | range` of a field. */
const defaultOf = ({ unit, default: value, defaultText }) => {
  if (defaultText !== undefined) return defaultText;
  return typeof value === 'number' ? withUnit(inDigits(value), unit) : code(JSON.stringify(value));
};
const rangeOf = {
  integer: ({ min, max, unit }) => withUnit(`${inDigits(min)} to ${inDigits(max)}`, unit),
  'integer or word': ({ word, ...field }) => `${rangeOf.integer(field)}, or ${codes([word])}`,
  flag: () => codes([true, false]),
  choice: ({ values }) => codes(values),
  blocks: ({ min, max }) => `${min} to ${inDigits(max)} addresses or blocks`,
  text: ({ expected }) => expected,
};

const rowsOf = (fields, prefix = '') =>
  Object.entries(fields).map(([name, field]) => [
    code(prefix + name),
    defaultOf(field),
    rangeOf[field.type](field),
    linked(field.text, field.see),
  ]);
const linked = (text, see) => (see === undefined ? text : `${text} ([more](${see}))`);

const settings = ['setting', 'default', 'range', 'meaning'];
const counterRows = Object.entries(counters).map(([name, { text, see }]) => [
  code(name),
  linked(text, see),
]);

/** The labels that a metric has besides those of its forward, with their values. */
function labelsOf(figures) {
  const [[name] = []] = figures.map(({ label = [] }) => label);
  return name === undefined
    ? ''
    : `${code(name)}: ${figures.map((each) => code(each.label[1])).join(', ')}`;
}

const metricRows = [
  ...Object.values(forwarderMetrics).map(({ name, help, unit, labels }) => [
    code(name),
    'gauge',
    labels.map(code).join(', '),
    unit,
    'forwarder',
    help,
  ]),
  ...metrics.map(({ name, kind, protocol, unit, help, more, see, figures }) => [
    code(name),
    kind,
    labelsOf(figures),
    unit,
    protocol?.toUpperCase() ?? 'TCP, UDP',
    linked(more === undefined ? help : `${help} ${more}`, see),
  ]),
];

const tables = {
  'engine options': [settings, ...rowsOf(engineFields)],
  'forward settings': [settings, ...rowsOf(forwardFields)],
  'forwarder settings': [
    settings,
    ...rowsOf(engineFields),
    ...rowsOf(forwarderFields),
    ...rowsOf(logFields, 'log.'),
  ],
  counters: [['counter', 'meaning'], ...counterRows],
  metrics: [['metric', 'type', 'further labels', 'unit', 'of', 'meaning'], ...metricRows],
};

const line = (cells) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');

/** A page with its marked tables made anew. */
const page = (file) =>
  read(file).replaceAll(
    /(<!-- generated table: ([a-z ]+) -->\n\n).*?(\n<!-- end of the generated table -->)/gs,
    (_, begin, name, end) => {
      const [head, ...rows] = tables[name];
      const lines = [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)];
      const text = lines.map((each) => `${each.replaceAll(`](${file}#`, '](#')}\n`).join('');
      return begin + text + end;
    },
  );

// Schemas

const json = (text) => format(text, { parser: 'json', printWidth: 100 });

function settingsSchema() {
  const { $schema, ...schema } = z.toJSONSchema(settingsFile, { io: 'input' });
  return json(JSON.stringify({ $schema, title: 'Settings of spliceport', ...schema }));
}

const shapeOf = {
  integer: ({ min, max }) => ({ type: 'integer', minimum: min, maximum: max }),
  flag: () => ({ type: 'boolean' }),
  choice: ({ values }) => ({ type: 'string', enum: values }),
  blocks: ({ min, max }) => ({
    type: 'array',
    minItems: min,
    maxItems: max,
    items: { type: 'string' },
  }),
};
const schemaOf = (field) => ({
  ...shapeOf[field.type](field),
  ...(field.default === undefined
    ? { description: description(field) }
    : { default: field.default, description: meaning(field) }),
});

const counterShape = {
  number: { type: 'integer', minimum: 0 },
  errno: { type: 'string' },
  buckets: { type: 'array', items: { type: 'integer', minimum: 0 } },
};
const statsSchema = {
  type: 'object',
  description: 'Counters. All are totals, except sessionsOpen.',
  properties: Object.fromEntries(
    Object.entries(counters).map(([name, { type = 'number', text }]) => [
      name,
      { ...counterShape[type], description: plain(text) },
    ]),
  ),
  required: Object.keys(counters).filter((name) => counters[name].type !== 'errno'),
  additionalProperties: false,
};

/** The description of the control API, with its schemas of settings and counters made anew. */
function openapi() {
  const api = JSON.parse(read('openapi.json'));
  const { schemas } = api.components;
  const own = Object.entries(schemas.ForwardSpec.properties).filter(
    ([name]) => !(name in forwardFields),
  );
  // What has a schema by itself is pointed to.
  const fields = Object.entries(forwardFields).map(([name, field]) => {
    const itself = name[0].toUpperCase() + name.slice(1);
    if (!(itself in schemas)) return [name, schemaOf(field)];
    schemas[itself] = schemaOf(field);
    return [name, { $ref: `#/components/schemas/${itself}` }];
  });
  schemas.ForwardSpec.properties = Object.fromEntries([...own, ...fields]);
  schemas.Stats = statsSchema;
  // With its objects spread out, as the rest is.
  return json(JSON.stringify(api, null, 2));
}

// The settings in C++

const camel = (name) => name[0].toUpperCase() + name.slice(1);
const words = (name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const inGroups = (value) => String(value).replaceAll(/\B(?=(\d{3})+$)/g, "'");
/** A value of a choice, such as `proxy-v1`, as `kProxyV1`. */
const enumerator = (value) => `k${value.split('-').map(camel).join('')}`;

/** Type and default of each type of field. A limit that has no default is 0. */
const member = {
  integer: ({ isWide, default: value = 0 }) => [
    isWide ? 'uint64_t' : 'uint32_t',
    ` = ${inGroups(value)}`,
  ],
  flag: ({ default: value }) => ['bool', ` = ${value}`],
  choice: ({ default: value }, name) => [camel(name), ` = ${camel(name)}::${enumerator(value)}`],
  blocks: () => ['CidrList', ''],
};

const struct = (name, fields) => `struct ${name} {
${Object.entries(fields)
  .map(([key, field]) => {
    const [type, value] = member[field.type](field, key);
    return `  ${type} ${words(key)}${value};\n`;
  })
  .join('')}};
`;

const choices = (fields) =>
  Object.entries(fields).flatMap(([name, { values }]) =>
    values === undefined
      ? []
      : `enum class ${camel(name)} : uint8_t { ${values.map(enumerator).join(', ')} };
// In the same order.
inline constexpr std::array k${camel(name)}Names{${values.map((each) => `"${each}"`).join(', ')}};
`,
  );

const visitor = (name, settings) =>
  settings.length === 0
    ? `void ${name}(auto& /*settings*/, const auto& /*visit*/) {}\n`
    : `void ${name}(auto& settings, const auto& visit) {
${settings.map((each) => `  visit("${each}", settings.${words(each)});\n`).join('')}}
`;

const gates = Object.entries(forwardFields).flatMap(([name, { isGate, type }]) =>
  isGate && type !== 'integer' ? [name] : [],
);

const settingFields =
  () => `// setting_fields.h: the settings of engines and forwards, with their defaults. Made from
//                   src/spec/fields.ts by scripts/docs.mjs.
// Thread: any. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/cidr.h"

namespace spliceport {

${struct('EngineFields', engineFields)}
${choices(forwardFields).join('\n')}
${struct('ForwardFields', forwardFields)}
// Calls \`visit(name, member)\` for each setting, in the order of messages to a shim.
${visitor('EachEngineField', shimOrder.engine)}
// The same for those that shims have learned later.
${visitor('EachAddedEngineField', shimOrder.engineAdded)}
// Without \`sourceAddress\`, and \`acceptProxy\`, which is whether there are \`trustedProxies\`.
${visitor('EachForwardField', shimOrder.forward)}
${visitor('EachAddedForwardField', shimOrder.forwardAdded)}
// The settings that say who is let in, other than how many.
inline constexpr std::array<std::string_view, ${gates.length}> kGateNames{
${gates.map((name) => `    "${name}",\n`).join('')}};

}  // namespace spliceport
`;

const made = {
  '../native/relay/setting_fields.h': settingFields(),
  'api.md': page('api.md'),
  'settings.md': page('settings.md'),
  'metrics.md': page('metrics.md'),
  'settings.schema.json': await settingsSchema(),
  'openapi.json': await openapi(),
};
const stale = Object.keys(made).filter((file) => made[file] !== read(file));
if (process.argv.includes('--check')) {
  for (const file of stale) console.log(`docs/${file}: node scripts/docs.mjs writes it`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const file of stale) writeFileSync(new URL(file, docs), made[file]);
}
