// findings.ts: what facts about the machine mean for spliceport, and the command that mends what is
// wrong.

/** How bad it is. Only an error keeps spliceport from working. */
export type Severity = 'ok' | 'note' | 'warning' | 'error';

/** One thing that was looked at. */
export interface Finding {
  /** Stays the same from version to version. */
  readonly check: string;
  readonly severity: Severity;
  readonly text: string;
  /** What to do about it: mostly a command. */
  readonly fix?: string;
}

/** What was found on the machine. */
export interface Facts {
  readonly isRoot: boolean;
  /** As uname -r prints it. */
  readonly kernel: string;
  /** Why the engine does not start; absent when it does. */
  readonly engineFailure?: string;
  /** The node that the helper starts; null when none was recorded at installation. */
  readonly helperNode: { readonly path: string; readonly isExecutable: boolean } | null;
  /** Why this user can make no user namespace; absent when they can. */
  readonly userNamespaceFailure?: string;
  readonly maxUserNamespaces: number | undefined;
  /** `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu. */
  readonly appArmorRestricts: boolean;
  /** Whether /dev/net/tun can be opened. */
  readonly hasTun: boolean;
  readonly unprivilegedPortStart: number | undefined;
  /** Hard limit on open files. */
  readonly maxOpenFiles: number;
  /** Pages that the pipes of an unprivileged user may have in all; 0: no limit. */
  readonly pipePages: number | undefined;
  readonly maxPipeBytes: number | undefined;
  readonly isSelinuxEnforcing: boolean;
  /** Absent when there is no podman in PATH. */
  readonly podman?: PodmanFacts;
  readonly settings?: { readonly path: string; readonly problems: readonly string[] };
  /** Why forwarders could have no control socket; absent when they can. */
  readonly controlFailure?: string;
}

/** How Podman of this user is set up. */
export interface PodmanFacts {
  /** Why its configuration cannot be read; absent when it can. */
  readonly problem?: string;
  /** The helper that it starts. */
  readonly helper?: string;
  /** Whether that is ours. */
  readonly isOurs: boolean;
  /** The network of containers that are started without `--network`, such as `pasta`. */
  readonly network?: string;
}

const PAGE_BYTES = 4_096;
/** What a bulk session's pipe is asked to hold. */
const PIPE_BYTES = 1 << 20;
/** Two descriptors for each session, and some for the rest. */
const FEW_OPEN_FILES = 4_096;

/** All findings, in the order in which one would look. */
export function findingsOf(facts: Facts): Finding[] {
  return [
    kernel(facts),
    engine(facts),
    helperNode(facts),
    userNamespaces(facts),
    tun(facts),
    openFiles(facts),
    pipes(facts),
    privilegedPorts(facts),
    selinux(facts),
    ...podman(facts),
    settings(facts),
    controlSocket(facts),
  ].filter((finding) => finding !== undefined);
}

function kernel({ kernel: release }: Facts): Finding {
  const [, major] = /^(\d+)\./.exec(release) ?? [];
  const check = 'kernel';
  if (Number(major) >= 5) return { check, severity: 'ok', text: `Linux ${release}` };
  const text = `Linux ${release} is older than 5.0`;
  return { check, severity: 'error', text, fix: 'Upgrade the kernel.' };
}

function engine({ engineFailure: failure }: Facts): Finding {
  const check = 'engine';
  if (failure === undefined) return { check, severity: 'ok', text: 'the addon loads and starts' };
  return { check, severity: 'error', text: failure, fix: 'npm rebuild spliceport' };
}

function helperNode({ helperNode: node }: Facts): Finding {
  const check = 'helper-node';
  if (node?.isExecutable === true) {
    return { check, severity: 'ok', text: `Podman's helper runs on ${node.path}` };
  }
  const fix = 'npm rebuild spliceport     # with the Node that is to be used';
  if (node === null) {
    const text =
      'no Node was recorded at installation: the helper looks in /usr/local/bin and /usr/bin';
    return { check, severity: 'warning', text, fix };
  }
  const text = `the helper is to run on ${node.path}, which is not there any more`;
  return { check, severity: 'warning', text, fix };
}

function userNamespaces(facts: Facts): Finding {
  const check = 'user-namespaces';
  const { userNamespaceFailure: failure, maxUserNamespaces: max, appArmorRestricts } = facts;
  if (failure === undefined) return { check, severity: 'ok', text: 'user namespaces can be made' };
  const text = `no user namespace can be made: ${failure}`;
  const fix =
    max === 0
      ? 'sudo sysctl user.max_user_namespaces=15000'
      : appArmorRestricts
        ? 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0'
        : 'sudo sysctl kernel.unprivileged_userns_clone=1     # or ask for a container that may';
  return { check, severity: facts.isRoot ? 'warning' : 'error', text, fix };
}

function tun({ hasTun }: Facts): Finding {
  const check = 'tun';
  if (hasTun) return { check, severity: 'ok', text: '/dev/net/tun can be opened' };
  const text = '/dev/net/tun cannot be opened, so rootless containers have no network';
  return { check, severity: 'warning', text, fix: 'sudo modprobe tun' };
}

function openFiles({ maxOpenFiles: max }: Facts): Finding {
  const check = 'open-files';
  const sessions = Math.floor((max - 64) / 2).toLocaleString('en');
  const text = `at most ${max.toLocaleString('en')} open files: about ${sessions} sessions for each forwarder`;
  if (max >= FEW_OPEN_FILES) return { check, severity: 'ok', text };
  const fix = `echo "$USER hard nofile 65536" | sudo tee /etc/security/limits.d/spliceport.conf     # then log in again`;
  return { check, severity: 'warning', text, fix };
}

function pipes({ pipePages, maxPipeBytes, isRoot }: Facts): Finding {
  const check = 'pipes';
  const isEnough = isRoot || pipePages === undefined || pipePages === 0;
  if (!isEnough && pipePages * PAGE_BYTES < 16 * PIPE_BYTES) {
    const text = `pipes of a user hold ${(pipePages * PAGE_BYTES) >> 20} MiB in all: few bulk sessions can be spliced`;
    return { check, severity: 'warning', text, fix: 'sudo sysctl fs.pipe-user-pages-soft=16384' };
  }
  if (!isRoot && maxPipeBytes !== undefined && maxPipeBytes < PIPE_BYTES) {
    const text = `a pipe holds at most ${maxPipeBytes >> 10} KiB: bulk sessions are slower`;
    return { check, severity: 'warning', text, fix: `sudo sysctl fs.pipe-max-size=${PIPE_BYTES}` };
  }
  return { check, severity: 'ok', text: 'pipes are large enough for bulk' };
}

function privilegedPorts({ unprivilegedPortStart: start = 1_024, isRoot }: Facts): Finding {
  const check = 'privileged-ports';
  if (isRoot || start <= 80) {
    const text = isRoot ? 'root may use every port' : `ports from ${start} on need no privilege`;
    return { check, severity: 'ok', text };
  }
  const text = `ports below ${start}, such as 80, need a privilege`;
  return {
    check,
    severity: 'note',
    text,
    fix: 'sudo sysctl net.ipv4.ip_unprivileged_port_start=80',
  };
}

function selinux({ isSelinuxEnforcing }: Facts): Finding | undefined {
  if (!isSelinuxEnforcing) return undefined;
  const text = 'SELinux is enforcing; if a port is not served, look for a denial';
  return { check: 'selinux', severity: 'note', text, fix: 'sudo ausearch -m avc -ts recent' };
}

function podman({ podman: facts, isRoot }: Facts): Finding[] {
  const check = 'podman';
  if (facts === undefined) return [{ check, severity: 'note', text: 'podman is not in PATH' }];
  if (facts.problem !== undefined) {
    const fix = 'Correct the file: Podman cannot read it either.';
    return [{ check, severity: 'warning', text: facts.problem, fix }];
  }
  const whose = isRoot ? 'rootless Podman' : 'Podman of this user';
  const enabled: Finding = facts.isOurs
    ? { check, severity: 'ok', text: `${whose} starts this spliceport` }
    : {
        check,
        severity: 'note',
        text: `${whose} starts ${facts.helper ?? 'no helper'}`,
        fix: `spliceport enable podman${isRoot ? ' --system' : ''}`,
      };
  if (facts.network === undefined || facts.network === 'slirp4netns' || isRoot) return [enabled];
  const network: Finding = {
    check: 'podman-network',
    severity: 'note',
    text: `containers started without --network use ${facts.network}, which forwards ports itself`,
    fix: 'podman run --network bridge -p 8080:80 IMAGE',
  };
  return [enabled, network];
}

function settings({ settings: file }: Facts): Finding {
  const check = 'settings';
  if (file === undefined) {
    return { check, severity: 'ok', text: 'no settings file: defaults apply' };
  }
  const [first, ...more] = file.problems;
  if (first === undefined) return { check, severity: 'ok', text: `${file.path} is valid` };
  const text = more.length === 0 ? first : `${first} (and ${more.length} more)`;
  return { check, severity: 'error', text, fix: 'spliceport settings check' };
}

function controlSocket({ controlFailure: failure }: Facts): Finding {
  const check = 'control-socket';
  if (failure === undefined) {
    return { check, severity: 'ok', text: 'forwarders can have control sockets' };
  }
  const fix = 'Set XDG_RUNTIME_DIR, or SPLICEPORT_CONTROL_DIR to a folder of your own.';
  return { check, severity: 'warning', text: failure, fix };
}
