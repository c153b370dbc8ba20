/** The status of a supervisor, as the control socket reports it. */

import { deadlineOf } from '../../machines/state/deadlines.ts';
import { type Health, healthOf, healthText } from '../../machines/state/health.ts';
import type { Projections } from '../../machines/state/projections.ts';
import type { Rotation } from '../../machines/state/rotations.ts';
import {
	type ChildState,
	candidateStepOf,
	isBaking,
	isChecked,
	type Phase,
	type SupervisorState,
	stateOf,
} from '../../machines/state/supervisorState.ts';
import { whoServes } from '../../machines/state/whoServes.ts';
import type { ChildStatusText } from '../children/notifyStatus.ts';
import { bootClock } from '../os/clock.ts';
import { firstGivenFd } from '../os/descriptors.ts';
import { unixQueue } from '../sockets/diag.ts';
import type { Listener } from '../sockets/listener.ts';
import { tcpQueue } from '../sockets/socket.ts';
import type { Held } from './heldConnections.ts';

export interface ChildStatus {
	child: number;
	index: number;
	pid: number | null;
	phase: Phase;
	/** When the child entered its phase, and the deadline of the phase; both in milliseconds since 1970. */
	since: number;
	deadline: number | null;
	readyBy: ChildState['readyBy'];
	/** As reported by the child with sd_notify(3): STATUS=, STOPPING=1, MAINPID=, WATCHDOG=1. */
	status: string | null;
	stopping: boolean;
	mainPid: number | null;
	watchdog: boolean;
	/** With -watchdog: it was found to be hung, and was aborted. */
	hung: boolean;
	/**
	 * Whether a child accepts new connections, for a draining child and for a serving child with `unseen`. Null for
	 * other children, and if it cannot be determined.
	 */
	accepting: boolean | null;
	/**
	 * Result of the listener check: true if the child was seen to accept, false if that cannot be determined, null
	 * before the check.
	 */
	seen: boolean | null;
	/** The pids of the surviving processes that the supervisor waits for. */
	survivors: number[];
	/** A sentence that says that the child does not accept, and where it listens instead; else null. */
	unseen: string | null;
	/**
	 * Established connections of the listeners that the child holds; null if they cannot be counted, or were not
	 * requested.
	 */
	connections: number | null;
	/** The peers of these connections, the longest silent first; at most 1,000 in a status. */
	peers: { address: string | null; silent: number | null }[];
}

export interface Status {
	pid: number;
	version: string;
	run: string;
	/** When the supervisor process started, in milliseconds since 1970. An upgrade keeps the process. */
	since: number;
	seq: number;
	state: string;
	/** How many children serve of how many, in one word and in a sentence: `OK 3/3 serving`. */
	health: Health & { text: string };
	queued: boolean;
	listeners: { uri: string; address: string; fd: number; queue: number | null; backlog: number | null }[];
	generations: {
		generation: number;
		state: 'starting' | 'checking' | 'baking' | 'serving' | 'draining';
		/** The real paths of the started program and of its working directory; null if unknown. */
		program: string | null;
		directory: string | null;
		children: ChildStatus[];
	}[];
	/**
	 * When another generation starts while none serves, in milliseconds since 1970; null if no start is scheduled.
	 */
	restart: number | null;
	/** When the bake of the candidate ends, in milliseconds since 1970; null if it does not bake. */
	bake: number | null;
	/**
	 * The health check that runs: of the candidate or, if there is none, of the serving generation, which is degraded.
	 * `target` is the value of -check, `problem` the status of the last answer or the last error. `deadline` is in
	 * milliseconds since 1970; null if there is no deadline. Null if no check runs.
	 */
	check: { generation: number; target: string; problem: string | null; deadline: number | null } | null;
	respawns: { generation: number; index: number; at: number; attempt: number }[];
	last: Rotation | null;
	journal: { path: string; size: number; seq: number } | null;
	upgrades: { done: number; failed: number; failure: string | null };
	recoveries: number;
}

/** The parts of the supervisor that a status is built from. */
export interface Subject {
	run: string;
	version: string;
	since: number;
	listeners: Listener[];
	seq: () => number;
	past: () => Projections;
	journal: { path: string; size: () => number | null } | null;
	statusTextOf: (child: number) => ChildStatusText;
}

const mostPeers = 1000;

/** The results of examining the children's processes. */
export interface Looked {
	/** By pid; null if connections cannot be counted. */
	held: Held | null;
	/** By pid: whether a child that was told to leave accepts on any listener; null if that cannot be determined. */
	accepting: ReadonlyMap<number, boolean | null>;
	/** By pid: whether a serving child that was not seen to accept does so on each listener now; null likewise. */
	accepted: ReadonlyMap<number, boolean | null>;
}

/** @param looked null for a brief status */
export function statusOf(subject: Subject, looked: Looked | null): Status {
	const { rotations, state, counters } = subject.past();
	const { run, version, since, listeners, journal } = subject;
	const size = journal?.size() ?? null;
	return {
		pid: process.pid,
		version,
		run,
		since,
		seq: subject.seq(),
		state: state ? stateOf(state) : 'starting',
		health: healthIn(state),
		queued: (state?.queued ?? null) !== null,
		listeners: listeners.map((listener, position) => ({
			uri: listener.uri,
			address: listener.address,
			fd: firstGivenFd + position,
			...(queueOf(listener) ?? { queue: null, backlog: null }),
		})),
		generations: state ? generationsOf(state, subject, looked) : [],
		respawns: (state?.respawns ?? []).map(({ generation, index, at, millis, attempt }) => ({
			generation,
			index,
			at: at + millis,
			attempt,
		})),
		restart: state?.restart ? state.restart.at + state.restart.millis : null,
		bake: state?.bake && isBaking(state) ? state.bake.at + state.bake.millis : null,
		check: checkIn(state),
		last: rotations.kept.findLast(({ result }) => result !== 'pending') ?? null,
		journal: journal && size !== null ? { path: journal.path, size, seq: subject.seq() } : null,
		upgrades: { done: counters.upgrades, failed: counters.upgradesFailed, failure: counters.upgradeFailure },
		recoveries: counters.recoveries,
	};
}

/** Length and limit of the accept queue; null if the kernel does not report them. */
export function queueOf({ fd, inode }: Listener): { queue: number; backlog: number } | null {
	return tcpQueue(fd) ?? unixQueue(inode);
}

function generationsOf(
	supervisorState: SupervisorState,
	{ statusTextOf }: Subject,
	looked: Looked | null,
): Status['generations'] {
	const { children, respawns } = supervisorState;
	const numbers = [...new Set([...children, ...respawns].map(({ generation }) => generation))].sort((a, b) => a - b);
	const sinceBoot = Date.now() - bootClock();
	const held = looked?.held ?? null;
	let left = mostPeers;
	return numbers.map((generation) => ({
		generation,
		state: stateIn(supervisorState, generation),
		program: firstIn(children, generation)?.program ?? null,
		directory: firstIn(children, generation)?.directory ?? null,
		children: children
			.filter((child) => child.generation === generation)
			.map((child) => {
				const { pid, index, phase, since, readyBy } = child;
				const own = (pid === null ? [] : held?.get(pid)) ?? null;
				const deadline = deadlineOf(child, supervisorState);
				const peers = (own ?? [])
					.map(({ peer, silent }) => ({ address: peer, silent }))
					.sort((a, b) => (b.silent ?? 0) - (a.silent ?? 0))
					.slice(0, left);
				left -= peers.length;
				return {
					child: child.child,
					index,
					pid,
					phase,
					since,
					deadline: deadline === null ? null : deadline + sinceBoot,
					readyBy,
					...statusTextOf(child.child),
					hung: child.hungClock !== null,
					accepting: looked?.accepting.get(pid ?? 0) ?? null,
					seen: child.isSeen,
					survivors: child.survivors,
					unseen: looked?.accepted.get(pid ?? 0) === true ? null : child.unseen,
					connections: held === null ? null : (own?.length ?? null),
					peers,
				};
			}),
	}));
}

function firstIn(children: ChildState[], generation: number): ChildState | undefined {
	return children.find((child) => child.generation === generation);
}

/** A generation kept as degraded is `serving` if one of its children serves. */
function stateIn(state: SupervisorState, generation: number) {
	const { candidate, serving, isComplete, children } = state;
	if (generation === candidate) return candidateStepOf(state) ?? 'starting';
	if (generation !== serving) return 'draining';
	const isUp = whoServes({ serving, children }) !== null;
	return isComplete || isUp ? 'serving' : 'starting';
}

function healthIn(state: SupervisorState | null): Status['health'] {
	if (!state) return { state: 'starting', serving: 0, size: 0, reasons: [], text: 'STARTING' };
	const health = healthOf(state, bootClock());
	return { ...health, text: healthText(health) };
}

function checkIn(state: SupervisorState | null): Status['check'] {
	if (!state || state.stopSignal !== null) return null;
	const { candidate, serving, isComplete, plan, checks } = state;
	const [generation, check] = isChecked(state)
		? [candidate ?? 0, checks.candidate]
		: [serving, isComplete || candidate !== null ? null : checks.serving];
	if (check === null) return null;
	const deadline = check.millis === 0 ? null : check.at + check.millis;
	return { generation, target: plan.check, problem: check.problem, deadline };
}
