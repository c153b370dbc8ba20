/** What the supervisor knows, and what it can do: the vocabulary of its statechart in supervisor.ts. */
import { type ActorRefFrom, fromEventObservable, sendTo, setup } from 'xstate';
import { type ChildNews, type ChildOrder, childMachine } from './child.ts';
import type { Fact, FactOf, FactType, Report } from './facts.ts';
import { isLost, type Roster } from './roster.ts';
import { upgradeMachine } from './upgrade.ts';

interface Member {
	ref: ActorRefFrom<typeof childMachine>;
	generation: number;
	pid: number | null;
	ready: boolean;
	/** It was told to leave, or will be as soon as it has a pid. */
	told: boolean;
}

/** What a roster tells, and what only the charts need. */
export interface SupervisorContext extends Omit<Roster, 'children'> {
	/** A child of the candidate is gone and the rest has to follow. */
	lost: boolean;
	members: Record<number, Member>;
}

/** What the supervisor ends with. */
export interface SupervisorOutput {
	/** 0 when a stop was asked for, else the exit code of the last child that left unasked, or 128 plus its signal. */
	status: number;
}

const base = setup({
	types: {
		context: {} as SupervisorContext,
		events: {} as Fact | ChildNews,
		output: {} as SupervisorOutput,
	},
	actors: {
		/** Every fact, after the door has numbered, timed and recorded it. */
		facts: fromEventObservable<Fact, void>(() => {
			throw new Error('the facts actor was not provided');
		}),
		child: childMachine,
		upgrade: upgradeMachine,
	},
	actions: {
		report: (_, _report: Report) => {
			throw new Error('the report action was not provided');
		},
	},
	guards: {
		isMember: ({ context, event }) => 'child' in event && event.child in context.members,
		isFresh: ({ context }) => context.lastGeneration === 0,
		isOver: ({ context }) => context.lastGeneration > 0 && Object.keys(context.members).length === 0,
		isReady: ({ context }) => {
			const candidates = Object.values(context.members).filter(({ generation }) => generation === context.candidate);
			return !context.lost && candidates.length > 0 && candidates.every((member) => member.ready);
		},
		isLost: ({ context }) => context.lost,
		isQueued: ({ context }) => context.queued,
		hasLeaving: ({ context }) => Object.values(context.members).some((member) => member.told),
		wasStopping: ({ event }) => event.type === 'supervisor.recovered' && event.roster.stopSignal !== null,
		wasStarting: ({ event }) => event.type === 'supervisor.recovered' && event.roster.serving === 0,
		wasRotating: ({ event }) => event.type === 'supervisor.recovered' && event.roster.candidate !== null,
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const supervisorSetup = base.extend({
	actions: {
		passOnToUpgrade: sendTo('upgrade', ({ event }) => event as Fact),
		passOnToChild: sendTo(
			({ context, event }) => (context.members[(event as ChildFact).child] as Member).ref,
			({ event }) => event as Fact,
		),
		rememberPid: base.assign({
			members: ({ context: { members }, event }) => {
				const { child, pid } = event as FactOf<'child.spawned'>;
				return { ...members, [child]: { ...(members[child] as Member), pid } };
			},
		}),
		keepPlan: base.assign({ plan: ({ event }) => (event as FactOf<'supervisor.started'>).plan }),
		startGeneration: base.enqueueActions(({ enqueue }) => {
			enqueue.assign(({ context, spawn }) => {
				const { plan, lastChild } = context;
				const generation = context.lastGeneration + 1;
				const members = { ...context.members };
				for (let child = lastChild + 1; child <= lastChild + plan.size; child += 1) {
					const ref = spawn('child', { id: `child.${child}`, input: { child, generation, plan } });
					members[child] = { ref, generation, pid: null, ready: false, told: false };
				}
				return {
					candidate: generation,
					lastGeneration: generation,
					lastChild: lastChild + plan.size,
					queued: false,
					lost: false,
					members,
				};
			});
		}),
		adopt: base.enqueueActions(({ enqueue, event }) => {
			const { roster } = event as FactOf<'supervisor.recovered'>;
			enqueue.assign(({ spawn }) => {
				const { children, ...counts } = roster;
				const members: Record<number, Member> = {};
				for (const adopted of children) {
					const { child, generation, pid, phase, told } = adopted;
					const input = { child, generation, plan: roster.plan, adopted };
					const ref = spawn('child', { id: `child.${child}`, input });
					members[child] = { ref, generation, pid, told, ready: phase === 'serving' };
				}
				return { ...counts, lost: false, members };
			});
		}),
		/** Children that should have been told to leave when the last supervisor died are told now. */
		catchUp: base.enqueueActions(({ enqueue, context, event }) => {
			const { roster, at } = event as FactOf<'supervisor.recovered'>;
			const { stopSignal, serving, candidate } = roster;
			tell(
				enqueue,
				context.members,
				(member) => !member.told && (stopSignal !== null || ![serving, candidate].includes(member.generation)),
				stopSignal === null ? { type: 'drain', at } : { type: 'stop', signal: stopSignal, at },
			);
		}),
		promote: base.enqueueActions(({ enqueue, context, event }) => {
			const { candidate, plan } = context;
			const at = timeOf(event);
			const up = Object.values(context.members).filter((member) => member.generation === candidate);
			const old = Object.values(context.members).filter((member) => member.generation !== candidate && !member.told);
			const farewell = old.length > 0 ? `; sending SIG${plan.drain} to ${pids(old)}` : '';
			const text = `Generation ${candidate} is up (${pids(up)})${farewell}`;
			enqueue({ type: 'report', params: { level: 'info', text } });
			enqueue.assign({ serving: candidate ?? 0, candidate: null });
			tell(enqueue, context.members, (member) => member.generation !== candidate && !member.told, {
				type: 'drain',
				at,
			});
		}),
		giveUp: base.enqueueActions(({ enqueue, context, event }) => {
			const { candidate, serving, members } = context;
			const stays = Object.values(members).some((member) => member.generation === serving && !member.told);
			const rest = stays ? `generation ${serving} goes on serving` : 'no generation serves';
			enqueue({ type: 'report', params: { level: 'error', text: `Generation ${candidate} given up; ${rest}` } });
			tell(enqueue, context.members, (member) => member.generation === candidate && !member.told, {
				type: 'drain',
				at: timeOf(event),
			});
			enqueue.assign({ candidate: null, lost: false });
		}),
		markReady: base.assign(({ context, event }) => {
			const { child } = event as Extract<ChildNews, { type: 'child.ready' }>;
			const member = context.members[child];
			return member ? { members: { ...context.members, [child]: { ...member, ready: true } } } : {};
		}),
		forget: base.enqueueActions(({ enqueue, context, event }) => {
			const { child, status } = event as Extract<ChildNews, { type: 'child.gone' }>;
			const { [child]: gone, ...members } = context.members;
			if (!gone) return;
			// An actor that is done stays among the machine's children until it is stopped.
			enqueue.stopChild(gone.ref);
			const others = Object.values(members);
			const isCandidate = gone.generation === context.candidate;
			enqueue.assign({
				members,
				status: gone.told ? context.status : status,
				lost: isCandidate ? isLost(context, others) : context.lost,
			});
			if (!gone.told && !isCandidate && others.length > 0 && others.every((member) => member.told)) {
				const text = `No generation serves any more; waiting for ${pids(others)} to leave`;
				enqueue({ type: 'report', params: { level: 'error', text } });
			}
		}),
		sayRotating: base.enqueueActions(({ enqueue, context, event }) => {
			const text = `${nameOf(event)}: starting generation ${context.lastGeneration + 1}`;
			enqueue({ type: 'report', params: { level: 'info', text } });
		}),
		queue: base.enqueueActions(({ enqueue, context, event }) => {
			const again = context.queued ? 'one more rotation will follow already' : 'one more rotation will follow';
			const text = `${nameOf(event)}: generation ${context.candidate ?? 1} is still starting; ${again}`;
			enqueue({ type: 'report', params: { level: 'info', text } });
			enqueue.assign({ queued: true });
		}),
		sayQueued: base.enqueueActions(({ enqueue, context }) => {
			const text = `Starting generation ${context.lastGeneration + 1}, asked for in the meantime`;
			enqueue({ type: 'report', params: { level: 'info', text } });
		}),
		refuse: base.enqueueActions(({ enqueue, event }) => {
			const text = `${nameOf(event)} refused: already stopping`;
			enqueue({ type: 'report', params: { level: 'warn', text } });
		}),
		stop: base.enqueueActions(({ enqueue, context, event }) => {
			const signal = event.type === 'signal.INT' ? 'INT' : 'TERM';
			const text = `${nameOf(event)}: stopping; sending SIG${signal} to ${pids(Object.values(context.members))}`;
			enqueue({ type: 'report', params: { level: 'info', text } });
			enqueue.assign({ stopSignal: signal, queued: false });
			tell(enqueue, context.members, () => true, { type: 'stop', signal, at: timeOf(event) });
		}),
		forward: base.enqueueActions(({ enqueue, context }) => {
			const text = `SIGQUIT: passed on to ${pids(Object.values(context.members))}`;
			enqueue({ type: 'report', params: { level: 'info', text } });
			tell(enqueue, context.members, () => true, { type: 'forward', signal: 'QUIT' });
		}),
	},
});

type ChildFact = FactOf<'child.spawned' | 'child.spawnFailed' | 'child.exited' | 'timer.elapsed'>;

/** Sends an order to some members and remembers who was told to leave. */
function tell(enqueue: Enqueue, members: Record<number, Member>, who: (member: Member) => boolean, order: ChildOrder) {
	const told = { ...members };
	for (const [id, member] of Object.entries(members)) {
		if (!who(member)) continue;
		if (order.type !== 'forward') told[Number(id)] = { ...member, told: true };
		enqueue.sendTo(member.ref, order);
	}
	enqueue.assign({ members: told });
}

/** The time of the fact, or of the fact behind the news: children hand on what they were told within one step. */
function timeOf(event: Fact | ChildNews): number {
	return 'at' in event ? event.at : 0;
}

function pids(members: Member[]): string {
	return members.map((member) => member.pid ?? 'a child still being spawned').join(', ') || 'nobody';
}

function nameOf({ type }: { type: FactType | ChildNews['type'] }): string {
	const [kind, name] = type.split('.');
	return kind === 'signal' ? `SIG${name}` : `A ${type === 'stop.requested' ? 'stop' : 'rotation'} request`;
}
