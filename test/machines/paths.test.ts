import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { getShortestPaths } from 'xstate/graph';
import { type ChildNews, type ChildOrder, childMachine } from '../../src/machines/child.ts';
import type { Fact, Happening } from '../../src/machines/facts.ts';
import { inertWorld, supervisorIn } from '../../src/machines/world.ts';
import { plan } from '../support/simulation.ts';

const fact = (happening: Happening): Fact => ({ seq: 1, at: 0, ...happening });

const started = fact({ type: 'supervisor.started', pid: 1, plan });
const hup = fact({ type: 'signal.HUP' });
const term = fact({ type: 'signal.TERM' });
const ready = (child: number): ChildNews => ({ type: 'child.ready', child, at: 0 });
const gone = (child: number): ChildNews => ({ type: 'child.gone', child, at: 0, status: 0 });

const name = (event: { type: string; child?: number }) =>
	event.type.startsWith('child.') && event.child ? `${event.type} ${event.child}` : event.type;

function withoutDetours<T>(paths: T[], stateOf: (path: T) => string, steps: (path: T) => string[]) {
	const found: Record<string, string[]> = {};
	for (const path of paths) {
		const [state, way] = [stateOf(path), steps(path)];
		const known = found[state];
		if (!known || way.length < known.length) found[state] = way;
	}
	return found;
}

describe('the shortest way', () => {
	it('to every state of the supervisor is as short as an operator would think', () => {
		const machine = supervisorIn(inertWorld(new Subject<Fact>(), () => {}));
		const paths = getShortestPaths(machine, {
			events: [started, ...[1, 2, 3].flatMap((child) => [ready(child), gone(child)]), hup, term] as never[],
			serializeState: ({ value, context }) => {
				const { members, ...rest } = context;
				const plain = Object.entries(members).map(([id, { ready, told }]) => [id, ready, told]);
				return JSON.stringify([value, rest, plain]);
			},
			stopWhen: ({ context }) => context.lastGeneration > 2,
		});
		const ways = withoutDetours(
			paths,
			(path) => String(path.state.value),
			(path) => path.steps.map(({ event }) => name(event)).filter((step) => step !== 'xstate.init'),
		);
		expect(ways).toEqual({
			starting: [],
			running: ['supervisor.started', 'child.ready 1'],
			rotating: ['supervisor.started', 'child.ready 1', 'signal.HUP'],
			draining: ['supervisor.started', 'child.ready 1', 'signal.HUP', 'child.ready 2'],
			stopping: ['signal.TERM'],
			stopped: ['supervisor.started', 'child.gone 1'],
		});
	});

	it('to every state of a child is as short as a process would think', () => {
		const spawned = fact({ type: 'child.spawned', child: 1, pid: 9, startTime: 1, pipe: 1 });
		const boot = fact({ type: 'timer.elapsed', child: 1, timer: 'boot' });
		const kill = fact({ type: 'timer.elapsed', child: 1, timer: 'kill' });
		const failed = fact({ type: 'child.spawnFailed', child: 1, reason: 'no' });
		const drain: ChildOrder = { type: 'drain', at: 0 };
		const alone = childMachine.provide({ actions: { tellReady: () => {}, tellGone: () => {} } });
		const paths = getShortestPaths(alone, {
			input: { child: 1, generation: 1, plan },
			events: [spawned, boot, kill, drain, failed] as never[],
			stopWhen: ({ context }) => context.pending.length > 1,
			serializeState: ({ value, context }) => JSON.stringify([value, context]),
		});
		const ways = withoutDetours(
			paths,
			(path) => String(path.state.value),
			(path) => path.steps.map(({ event }) => name(event)).filter((step) => step !== 'xstate.init'),
		);
		expect(ways).toEqual({
			spawning: [],
			booting: ['child.spawned 1'],
			serving: ['child.spawned 1', 'timer.elapsed'],
			draining: ['child.spawned 1', 'drain'],
			killing: ['child.spawned 1', 'drain', 'timer.elapsed'],
			exited: ['child.spawnFailed 1'],
		});
	});
});
