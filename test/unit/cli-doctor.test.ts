import { describe, expect, test } from 'vitest';
import { findingsOf, type Facts } from '../../src/cli/doctor/findings.js';

const healthy: Facts = {
  isRoot: false,
  kernel: '6.1.0-40-amd64',
  helperNode: { path: '/usr/bin/node', isExecutable: true },
  maxUserNamespaces: 15_000,
  appArmorRestricts: false,
  hasTun: true,
  unprivilegedPortStart: 80,
  maxOpenFiles: 524_288,
  pipePages: 16_384,
  maxPipeBytes: 1 << 20,
  isSelinuxEnforcing: false,
  podman: { helper: '/usr/lib/spliceport/libexec/rootlessport', isOurs: true },
};

describe('spliceport doctor', () => {
  test('finds nothing wrong on a healthy machine', () => {
    const severities = findingsOf(healthy).map(({ severity }) => severity);
    expect(new Set(severities)).toEqual(new Set(['ok']));
    expect(severities).toHaveLength(11);
  });

  test.each<[string, string, Partial<Facts>, RegExp]>([
    ['kernel', 'error', { kernel: '4.19.0-27-amd64' }, /Upgrade/],
    ['engine', 'error', { engineFailure: 'cannot load the addon' }, /npm rebuild/],
    ['helper-node', 'warning', { helperNode: null }, /npm rebuild/],
    [
      'helper-node',
      'warning',
      { helperNode: { path: '/gone/node', isExecutable: false } },
      /npm rebuild/,
    ],
    [
      'user-namespaces',
      'error',
      { userNamespaceFailure: 'No space left on device', maxUserNamespaces: 0 },
      /user\.max_user_namespaces=/,
    ],
    [
      'user-namespaces',
      'error',
      { userNamespaceFailure: 'Operation not permitted', appArmorRestricts: true },
      /apparmor_restrict_unprivileged_userns=0/,
    ],
    [
      'user-namespaces',
      'warning',
      { userNamespaceFailure: 'Operation not permitted', isRoot: true },
      /unprivileged_userns_clone=1/,
    ],
    ['tun', 'warning', { hasTun: false }, /modprobe tun/],
    ['open-files', 'warning', { maxOpenFiles: 1_024 }, /hard nofile/],
    ['pipes', 'warning', { pipePages: 1_024 }, /pipe-user-pages-soft=/],
    ['pipes', 'warning', { maxPipeBytes: 65_536 }, /pipe-max-size=1048576/],
    ['privileged-ports', 'note', { unprivilegedPortStart: 1_024 }, /ip_unprivileged_port_start=80/],
    ['selinux', 'note', { isSelinuxEnforcing: true }, /ausearch/],
    [
      'podman',
      'note',
      { podman: { isOurs: false, helper: '/usr/lib/podman/rootlessport' } },
      /enable/,
    ],
    ['podman-network', 'note', { podman: { isOurs: true, network: 'pasta' } }, /--network bridge/],
    [
      'settings',
      'error',
      { settings: { path: '/etc/spliceport/config.json', problems: ['1:2: no', '1:3: no'] } },
      /settings check/,
    ],
    ['control-socket', 'warning', { controlFailure: 'another user’s' }, /XDG_RUNTIME_DIR/],
  ])('reports %s as %s for %j, with a command that fixes it', (check, severity, facts, fix) => {
    const findings = findingsOf({ ...healthy, ...facts });
    expect(findings.filter((finding) => finding.severity !== 'ok')).toEqual([
      {
        check,
        severity,
        text: expect.any(String) as string,
        fix: expect.stringMatching(fix) as string,
      },
    ]);
  });

  test('has nothing to fix if podman is not installed', () => {
    const { podman: _, ...facts } = healthy;
    const finding = findingsOf(facts).find(({ check }) => check === 'podman');
    expect(finding).toEqual({ check: 'podman', severity: 'note', text: 'podman is not in PATH' });
  });
});
