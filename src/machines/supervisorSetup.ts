/** What the statechart in supervisor.ts is made of: its context, its guards and its actions. */
import { type ActorRefFrom, type DoneActorEvent, sendTo, setup } from 'xstate';
import type { Asker, Decision, FactOf, HappeningFact, Request } from './facts.ts';
import { type GenerationNews, type GenerationOrder, type GenerationOutput, generationMachine } from './generation.ts';
import type { Roster } from './roster.ts';
import { upgradeMachine } from './upgrade.ts';

type GenerationRef = ActorRefFrom<typeof generationMachine>;

/** What a roster tells, with actors for its children. */
export interface SupervisorContext extends Omit<Roster, 'children' | 'unanswered'> {
	/** Those that live. */
	generations: Record<number, GenerationRef>;
}

/** What the supervisor ends with. */
export interface SupervisorOutput {
	/** 0 when a stop was asked for, else the exit code of the last child that left unasked, or 128 plus its signal. */
	status: number;
}

/** A generation is over: it is done, as xstate says it. */
type Over = DoneActorEvent<GenerationOutput>;

type SupervisorEvent = HappeningFact | GenerationNews | Over;

const base = setup({
	types: {
		context: {} as SupervisorContext,
		events: {} as SupervisorEvent,
		output: {} as SupervisorOutput,
	},
	actors: { generation: generationMachine, upgrade: upgradeMachine },
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		isCandidate: ({ context, event }) => isOf(context.candidate, event),
		isCandidateBesideServing: ({ context, event }) =>
			isOf(context.candidate, event) && context.serving in context.generations,
		isCandidateBesideOthers: ({ context, event }) => isOf(context.candidate, event) && hasOthers(context),
		isServingBesideOthers: ({ context, event }) => isOf(context.serving, event) && hasOthers(context),
		isServingAndWasAskedFor: ({ context, event }) =>
			isOf(context.serving, event) && hasOthers(context) && context.asked !== 'start',
		/** The last generation is over. */
		isOver: ({ context }) => !hasOthers(context),
		isQueued: ({ context }) => context.queued !== null,
		isNobodyLeaving: ({ context: { generations, serving, candidate } }) => {
			for (const each in generations) if (Number(each) !== serving && Number(each) !== candidate) return false;
			return true;
		},
		wasStopping: ({ event }) =>
			event.type === 'supervisor.recovered' && event.by === 'upgrade' && event.roster.stopSignal !== null,
		hadBegunToStop: ({ event }) => event.type === 'supervisor.recovered' && event.roster.stopSignal !== null,
		isCandidateUnborn: ({ event }) => {
			if (event.type !== 'supervisor.recovered') return false;
			const { candidate, children } = event.roster;
			return candidate !== null && !children.some(({ generation }) => generation === candidate);
		},
		wasStarting: ({ event }) =>
			event.type === 'supervisor.recovered' && event.roster.serving === 0 && event.roster.candidate !== null,
		wasRotating: ({ event }) => event.type === 'supervisor.recovered' && event.roster.candidate !== null,
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const supervisorSetup = base.extend({
	actions: {
		passOnToUpgrade: sendTo('upgrade', ({ event }) => event as FactOf<'signal.USR1' | 'signal.USR2'>),
		keepQueued: base.assign({ queued: ({ event }) => askerOf(event) }),
		keepStop: base.assign({ stopSignal: ({ event }) => stopSignalOf(event), queued: null }),
		beginAgain: base.assign(({ context: { queued, asked } }) => ({ candidate: null, queued: queued ?? asked })),
		undoStop: base.assign({ stopSignal: null, serving: 0, candidate: null, queued: null }),
		keepPlan: base.assign({ plan: ({ event }) => (event as FactOf<'supervisor.started'>).plan }),
		noteStatus: base.assign({
			status: ({ event }) => (event as Extract<GenerationNews, { type: 'generationHurt' }>).status,
		}),
		startGeneration: base.assign(({ context, event, spawn }) => {
			const { plan, lastChild } = context;
			const generation = context.lastGeneration + 1;
			const input = { generation, plan, firstChild: lastChild + 1 };
			const ref = spawn('generation', { id: `generation.${generation}`, input });
			return {
				candidate: generation,
				lastGeneration: generation,
				lastChild: lastChild + plan.size,
				asked: askerOf(event) ?? context.queued ?? 'start',
				queued: null,
				generations: { ...context.generations, [generation]: ref },
			};
		}),
		promote: base.assign(({ context: { candidate } }) => ({ serving: candidate ?? 0, candidate: null })),
		giveUp: base.assign({ candidate: null }),
		/** An actor that is done stays among the machine's children until it is stopped. */
		forget: base.enqueueActions(({ enqueue, context, event }) => {
			const { generation, status } = (event as Over).output;
			const { [generation]: gone, ...generations } = context.generations;
			if (gone) enqueue.stopChild(gone);
			enqueue.assign({ generations, status: status ?? context.status });
		}),
		adopt: base.assign(({ event, spawn }) => {
			const { children, unanswered: _, ...rest } = (event as FactOf<'supervisor.recovered'>).roster;
			const { plan, serving, candidate } = rest;
			const generations: SupervisorContext['generations'] = {};
			for (const generation of new Set(children.map((child) => child.generation))) {
				const as = generation === candidate ? 'starting' : generation === serving ? 'serving' : 'leaving';
				const own = children.filter((child) => child.generation === generation);
				const input = { generation, plan, firstChild: 0, adopted: { as, children: own } } as const;
				generations[generation] = spawn('generation', { id: `generation.${generation}`, input });
			}
			return { ...rest, generations };
		}),

		dismissServing: sendTo(({ context }) => context.generations[context.serving] as GenerationRef, drainOrder),
		dismissCandidate: sendTo(({ context }) => context.generations[context.candidate ?? 0] as GenerationRef, drainOrder),
		carryOn: sendTo(({ context }) => context.generations[context.candidate ?? 0] as GenerationRef, { type: 'carryOn' }),
		stopAll: base.enqueueActions(({ enqueue, context, event }) => {
			sendToAll(enqueue, context, { type: 'stop', signal: stopSignalOf(event) });
		}),
		forwardToAll: base.enqueueActions(({ enqueue, context }) => {
			sendToAll(enqueue, context, { type: 'forward', signal: 'QUIT' });
		}),
		/** Who should have been told to leave when the last supervisor died is told now. */
		dismissOthers: base.enqueueActions(({ enqueue, context }) => {
			const { [context.serving]: _, [context.candidate ?? 0]: __, ...others } = context.generations;
			for (const each of Object.values(others)) enqueue.sendTo(each, drainOrder({ context }));
		}),
		dismissAll: base.enqueueActions(({ enqueue, context }) => {
			sendToAll(enqueue, context, { type: 'leave', signal: context.stopSignal ?? 'TERM', reason: 'stop' });
		}),
	},
});

function sendToAll(enqueue: Enqueue, { generations }: SupervisorContext, order: GenerationOrder) {
	for (const each of Object.values(generations)) enqueue.sendTo(each, order);
}

function drainOrder({ context: { plan } }: { context: SupervisorContext }): GenerationOrder {
	return { type: 'leave', signal: plan.drain, reason: 'drain' };
}

function isOf(generation: number | null, event: SupervisorEvent): boolean {
	if ('output' in event) return event.output.generation === generation;
	return 'generation' in event && event.generation === generation;
}

/** Whether more than one generation lives. */
function hasOthers({ generations }: SupervisorContext): boolean {
	let count = 0;
	for (const _ in generations) {
		count += 1;
		if (count > 1) return true;
	}
	return false;
}

function stopSignalOf({ type }: { type: string }): string {
	return type === 'signal.INT' ? 'INT' : 'TERM';
}

/** Who asks for a rotation by this event; null where nobody does. */
function askerOf({ type }: { type: string }): Asker | null {
	if (type === 'signal.HUP') return 'SIGHUP';
	return type === 'rotate.requested' ? 'rotate' : null;
}

interface Args<E = SupervisorEvent> {
	context: SupervisorContext;
	event: E;
}

/** What the supervisor decides, by what it knows and what it was told. */
export const decisions = {
	started: ({ context, event }: Args): Decision => ({
		type: 'generation.started',
		generation: context.lastGeneration + 1,
		asked: askerOf(event) ?? context.queued ?? 'start',
	}),
	stopUndone: (): Decision => ({ type: 'stop.undone' }),
	queued: ({ context, event }: Args): Decision => ({
		type: 'rotation.queued',
		asked: askerOf(event) ?? 'start',
		behind: context.candidate ?? 1,
	}),
	promoted: ({ context }: Args): Decision => ({
		type: 'generation.promoted',
		generation: context.candidate ?? 0,
		replaced: [],
	}),
	replacing: ({ context: { candidate, serving } }: Args): Decision => ({
		type: 'generation.promoted',
		generation: candidate ?? 0,
		replaced: [serving],
	}),
	givenUp: ({ context: { candidate, serving, generations } }: Args): Decision => ({
		type: 'generation.givenUp',
		generation: candidate ?? 0,
		serving: serving in generations ? serving : null,
	}),
	serviceLost: (): Decision => ({ type: 'service.lost' }),
	forwarded: (): Decision => ({ type: 'signal.forwarded', signal: 'QUIT' }),
	stop: ({ event }: Args<FactOf<Request['type']>>): Decision => ({
		type: 'stop.begun',
		request: event.type,
		signal: stopSignalOf(event),
	}),
	refused: ({ event }: Args<FactOf<Request['type']>>): Decision => ({
		type: 'request.refused',
		request: event.type,
		reason: 'stopping',
	}),
} as const;
