import { describe, expect, it } from 'vitest';
import { getShortestPaths } from 'xstate/graph';
import { childMachine } from '../../src/machines/charts/child.ts';
import type { ChildOrder, GenerationNews } from '../../src/machines/charts/protocol.ts';
import { inertWorld, leafOf, supervisorIn } from '../../src/machines/charts/world.ts';
import type { ExternalEvent, Fact } from '../../src/machines/facts/facts.ts';
import { plan } from '../support/simulation.ts';

const fact = (external: ExternalEvent): Fact => ({ seq: 1, at: 0, ...external });

const started = fact({ type: 'supervisor.started', pid: 1, plan });
const hup = fact({ type: 'signal.HUP' });
const term = fact({ type: 'signal.TERM' });
const up = (generation: number): GenerationNews => ({ type: 'generationUp', generation, upAt: 0 });
const over = (generation: number) => ({
	type: `xstate.done.actor.generation.${generation}`,
	output: { generation, status: 0, reason: '' },
});

const name = ({ type, generation }: { type: string; generation?: number }) =>
	generation ? `${type} ${generation}` : type.replace('xstate.done.actor.', 'over: ');

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
		const machine = supervisorIn(
			inertWorld(
				() => {},
				() => {},
			),
		);
		const paths = getShortestPaths(machine, {
			events: [started, ...[1, 2, 3].flatMap((generation) => [up(generation), over(generation)]), hup, term] as never[],
			serializeState: ({ value, context: { generations, ...rest } }) =>
				JSON.stringify([value, rest, Object.keys(generations)]),
			stopWhen: ({ context }) => context.lastGeneration > 2,
		});
		const ways = withoutDetours(
			paths,
			(path) => leafOf(path.state.value),
			(path) => path.steps.map(({ event }) => name(event)).filter((step) => step !== 'xstate.init'),
		);
		expect(ways).toEqual({
			beginning: [],
			starting: ['supervisor.started'],
			running: ['supervisor.started', 'generationUp 1'],
			rotating: ['supervisor.started', 'generationUp 1', 'signal.HUP'],
			draining: ['supervisor.started', 'generationUp 1', 'signal.HUP', 'generationUp 2'],
			unserved: ['supervisor.started', 'generationUp 1', 'signal.HUP', 'generationUp 2', 'over: generation.2'],
			stopping: ['supervisor.started', 'signal.TERM'],
			stopped: ['supervisor.started', 'over: generation.1'],
		});
	});

	it('to every state of a child is as short as a process would think', () => {
		const spawned = fact({ type: 'child.spawned', child: 1, pid: 9, startTime: 1, pipe: 1 });
		const boot = fact({ type: 'timer.elapsed', child: 1, timer: 'boot' });
		const verified = fact({ type: 'child.verified', child: 1, isSeen: true });
		const unverified = fact({ type: 'child.unverified', child: 1, missing: ['tcp://:80 (its fd 3)'] });
		const kill = fact({ type: 'timer.elapsed', child: 1, timer: 'kill' });
		const failed = fact({ type: 'child.spawnFailed', child: 1, reason: 'no' });
		const spawn: ChildOrder = { type: 'spawn' };
		const leave: ChildOrder = { type: 'leave', signal: 'HUP', reason: 'drain' };
		const alone = childMachine.provide({
			actions: { decide: () => {}, reportUp: () => {}, reportUnverified: () => {}, reportRejected: () => {} },
		});
		const paths = getShortestPaths(alone, {
			input: { child: 1, generation: 1, index: 0, plan, isGated: true },
			events: [spawn, spawned, boot, verified, unverified, kill, leave, failed] as never[],
			serializeState: ({ value, context }) => JSON.stringify([value, context]),
		});
		const ways = withoutDetours(
			paths,
			(path) => leafOf(path.state.value),
			(path) => path.steps.map(({ event }) => name(event)).filter((step) => step !== 'xstate.init'),
		);
		expect(ways).toEqual({
			beginning: [],
			spawning: ['spawn'],
			booting: ['spawn', 'child.spawned'],
			verifying: ['spawn', 'child.spawned', 'timer.elapsed'],
			unverified: ['spawn', 'child.spawned', 'timer.elapsed', 'child.unverified'],
			serving: ['spawn', 'child.spawned', 'timer.elapsed', 'child.verified'],
			cancelled: ['spawn', 'leave'],
			draining: ['spawn', 'child.spawned', 'leave'],
			killing: ['spawn', 'child.spawned', 'leave', 'timer.elapsed'],
			exited: ['spawn', 'child.spawnFailed'],
		});
	});
});
