// services.ts: real servers under the load generators made for them: nginx under wrk, dnsmasq under
// dnsperf.

import type { Lab } from '../lab.js';
import { CONTAINER_PORT } from '../load.js';
import type { Process } from '../process.js';
import { loadBy, numberIn, serveBy, type ToolResult } from '../tools.js';
import type { Figures, Running, Scenario, Timing } from '../types.js';
import { onStage } from './stage.js';

const HTTP_CONNECTIONS = 64;
const DNS_CLIENTS = 16;
const DNS_NAME = 'service.test';

function serveHttp(lab: Lab): Promise<Process> {
  const body = 'x'.repeat(1024);
  const configuration = lab.file(
    'nginx.conf',
    `daemon off;
master_process off;
pid ${lab.path('nginx.pid')};
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path ${lab.path('nginx-body')};
  server {
    listen 0.0.0.0:${CONTAINER_PORT} backlog=4096;
    location / { return 200 "${body}"; }
  }
}
`,
  );
  return serveBy(lab, 'tcp', 'nginx', '-c', configuration, '-p', lab.directory);
}

const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };

/** A time as wrk writes it, in microseconds. */
function wrkMicros(output: string, percentile: string): number {
  const match = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(output);
  return Number(match?.[1]) * (MICROS[match?.[2] ?? ''] ?? NaN);
}

function wrkErrors(output: string): number {
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    output,
  );
  const statuses = /Non-2xx or 3xx responses: (\d+)/.exec(output);
  return [...(sockets ?? []).slice(1), statuses?.[1] ?? 0].reduce<number>(
    (sum, count) => sum + Number(count),
    0,
  );
}

function withCpu(figures: Figures, { cpu }: ToolResult, operations: number): Figures {
  return cpu === undefined ? figures : { ...figures, cpu: (cpu / operations) * 1e6 };
}

function wholeSeconds(timing: Timing): string {
  return String(Math.max(1, Math.round(timing.seconds)));
}

async function wrk(running: Running, timing: Timing, headers: readonly string[]): Promise<Figures> {
  const url = `http://${running.address}:${running.port}/`;
  const options = ['-t', '1', '-c', String(HTTP_CONNECTIONS), '-d', wholeSeconds(timing)];
  const result = await loadBy(running, 'wrk', ...options, '--latency', ...headers, url);
  const { output } = result;
  const requests = numberIn(output, /(\d+) requests in/);
  if (requests === 0) throw new Error('nothing arrived');
  const figures = {
    rate: numberIn(output, /Requests\/sec:\s+([\d.]+)/),
    p50Micros: wrkMicros(output, '50'),
    p99Micros: wrkMicros(output, '99'),
    errors: wrkErrors(output),
  };
  return withCpu(figures, result, requests);
}

function http(name: string, title: string, byDefault: boolean, headers: string[]): Scenario {
  return {
    name,
    title,
    group: 'tcp',
    protocol: 'tcp',
    unit: '/s',
    headline: 'rate',
    byDefault,
    needs: ['wrk', 'nginx'],
    measure: (lab, driver, timing) =>
      onStage(lab, driver, { server: serveHttp }, (running) => wrk(running, timing, headers)),
  };
}

function serveDns(lab: Lab): Promise<Process> {
  return serveBy(
    lab,
    'udp',
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts'],
    ...['--user=root', `--pid-file=${lab.path('dnsmasq.pid')}`, `--port=${CONTAINER_PORT}`],
    `--address=/${DNS_NAME}/192.0.2.7`,
  );
}

async function dnsperf(lab: Lab, running: Running, timing: Timing): Promise<Figures> {
  const queries = lab.file('queries', `${DNS_NAME} A\n`);
  const target = ['-s', running.address, '-p', String(running.port), '-d', queries];
  const options = ['-l', wholeSeconds(timing), '-c', String(DNS_CLIENTS), '-q', '64'];
  const result = await loadBy(running, 'dnsperf', ...target, ...options);
  const { output } = result;
  const figures = {
    rate: numberIn(output, /Queries per second:\s+([\d.]+)/),
    lossPercent: numberIn(output, /Queries lost:\s+\d+ \(([\d.]+)%\)/),
  };
  return withCpu(figures, result, numberIn(output, /Queries completed:\s+(\d+)/));
}

/** The rows of real servers. */
export const SERVICE_SCENARIOS: readonly Scenario[] = [
  http('http', 'HTTP of 1 KiB from nginx, 64 connections kept open (wrk)', true, []),
  http('http-close', 'HTTP of 1 KiB from nginx, a connection for each request (wrk)', false, [
    '-H',
    'Connection: close',
  ]),
  {
    name: 'dns',
    title: 'DNS from dnsmasq, 16 clients (dnsperf)',
    group: 'udp',
    protocol: 'udp',
    unit: '/s',
    headline: 'rate',
    byDefault: false,
    needs: ['dnsmasq', 'dnsperf'],
    measure: (lab, driver, timing) =>
      onStage(lab, driver, { server: serveDns, request: { protocol: 'udp' } }, (running) =>
        dnsperf(lab, running, timing),
      ),
  },
];
