/** The children that share a rotation: all of them up, one of them lost, all of them gone. */
import { type ActorRefFrom, type DoneActorEvent, sendParent, setup } from 'xstate';
import { childMachine } from './child.ts';
import type { ChildNews, ChildOrder, ChildOutput } from './childSetup.ts';
import type { Plan } from './facts.ts';
import type { RosterChild } from './roster.ts';

export interface GenerationInput {
	generation: number;
	plan: Plan;
	/** The number of its first child; the others follow. */
	firstChild: number;
	/** Where it goes on, with children that live already. */
	adopted?: { as: 'starting' | 'serving' | 'leaving'; children: RosterChild[] };
}

/** What the supervisor orders a generation to do. */
export type GenerationOrder =
	| Exclude<ChildOrder, { type: 'spawn' | 'adopt' }>
	/** One of it is lost, and the rest is the best there is. */
	| { type: 'carryOn' };

/** What a generation tells the supervisor while it lives. */
export type GenerationNews =
	| { type: 'generationUp'; generation: number }
	/** A child left unasked, with this status, and others are left. */
	| { type: 'generationHurt'; generation: number; status: number };

/** What a generation ends with. */
export interface GenerationOutput {
	generation: number;
	/** Of its last child, if that left unasked. */
	status: number | null;
}

/** A child is gone: it is done, as xstate says it. */
type Gone = DoneActorEvent<ChildOutput>;

type ChildRef = ActorRefFrom<typeof childMachine>;

interface GenerationContext extends GenerationInput {
	children: Record<number, ChildRef>;
	/** Who is not up yet. */
	awaited: number[];
	/** Of the child that left last, if it left unasked. */
	status: number | null;
}

const base = setup({
	types: {
		context: {} as GenerationContext,
		input: {} as GenerationInput,
		events: {} as ChildNews | GenerationOrder | Gone,
		output: {} as GenerationOutput,
	},
	actors: { child: childMachine },
	guards: {
		isAdoptedAs: ({ context }, state: 'starting' | 'serving' | 'leaving') => context.adopted?.as === state,
		isUp: ({ context }) => context.awaited.length === 0,
		hasOthers: ({ context }) => Object.keys(context.children).length > 1,
		isLastChild: ({ context }) => Object.keys(context.children).length === 1,
		wasToldToLeave: ({ event }) => 'output' in event && event.output.status === null,
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const generationMachine = base
	.extend({
		actions: {
			spawnChildren: base.enqueueActions(({ enqueue, context: { firstChild, plan } }) => {
				for (let child = firstChild; child < firstChild + plan.size; child += 1) add(enqueue, child, { type: 'spawn' });
			}),
			adoptChildren: base.enqueueActions(({ enqueue, context }) => {
				for (const as of context.adopted?.children ?? []) add(enqueue, as.child, { type: 'adopt', as });
			}),
			noteUp: base.assign(({ context, event }) => ({ awaited: without(context.awaited, (event as ChildNews).child) })),
			/** An actor that is done stays among the machine's children until it is stopped. */
			forget: base.enqueueActions(({ enqueue, context, event }) => {
				const { child: id, status } = (event as Gone).output;
				const { [id]: gone, ...children } = context.children;
				if (gone) enqueue.stopChild(gone);
				enqueue.assign({ children, awaited: without(context.awaited, id), status });
			}),
			passOn: base.enqueueActions(({ enqueue, context, event }) => {
				for (const child of Object.values(context.children)) enqueue.sendTo(child, event as ChildOrder);
			}),
			tellUp: sendParent(({ context: { generation } }): GenerationNews => ({ type: 'generationUp', generation })),
			tellHurt: sendParent(
				({ context: { generation, status } }): GenerationNews => ({
					type: 'generationHurt',
					generation,
					status: status ?? 0,
				}),
			),
		},
	})
	.createMachine({
		id: 'generation',
		description: 'The children that were started together.',
		context: ({ input }) => ({ ...input, children: {}, awaited: [], status: null }),
		initial: 'beginning',
		states: {
			beginning: {
				tags: 'passing',
				description: 'Passed through at once: are there children already?',
				always: [
					{ guard: { type: 'isAdoptedAs', params: 'starting' }, target: 'alive.starting', actions: 'adoptChildren' },
					{ guard: { type: 'isAdoptedAs', params: 'serving' }, target: 'alive.serving', actions: 'adoptChildren' },
					{ guard: { type: 'isAdoptedAs', params: 'leaving' }, target: 'alive.leaving', actions: 'adoptChildren' },
					{ target: 'alive', actions: 'spawnChildren', description: 'there are none' },
				],
			},
			alive: {
				description: 'Some of its children live.',
				on: {
					forward: { actions: 'passOn' },
					leave: { target: '.leaving', actions: 'passOn' },
					stop: { target: '.leaving', actions: 'passOn' },
					childUp: { description: 'ignored: it is no longer waited for' },
					'xstate.done.actor.*': [
						{ guard: 'isLastChild', target: 'over', actions: 'forget' },
						{ guard: 'wasToldToLeave', actions: 'forget' },
						{ actions: ['forget', 'tellHurt'] },
					],
				},
				initial: 'starting',
				states: {
					starting: {
						tags: 'coming',
						description: 'Its children come up.',
						on: {
							childUp: { actions: 'noteUp' },
							'xstate.done.actor.*': { guard: 'hasOthers', target: 'hurt', actions: ['forget', 'tellHurt'] },
						},
						always: { guard: 'isUp', target: 'serving', actions: 'tellUp' },
					},
					hurt: {
						tags: 'ill',
						description:
							'One of its children was lost before all were up: the supervisor says what becomes of the rest.',
						on: {
							childUp: { actions: 'noteUp' },
							carryOn: 'starting',
						},
					},
					serving: { tags: 'well', description: 'All of its children are up.' },
					leaving: { tags: 'leaving', description: 'Its children were told to leave.' },
				},
			},
			over: { type: 'final', tags: 'gone', description: 'Its last child is gone.' },
		},
		output: ({ context: { generation, status } }) => ({ generation, status }),
	});

/** An actor for a child, and its first order. */
function add(enqueue: Enqueue, child: number, order: ChildOrder) {
	enqueue.assign(({ context, spawn }) => {
		const id = `child.${child}`;
		const { generation, plan } = context;
		const ref = spawn('child', { id, systemId: id, input: { child, generation, plan } });
		const isUp = order.type === 'adopt' && order.as.phase === 'serving';
		return {
			children: { ...context.children, [child]: ref },
			awaited: isUp ? context.awaited : [...context.awaited, child],
		};
	});
	enqueue.sendTo(({ context }) => context.children[child] as ChildRef, order);
}

function without(awaited: number[], child: number): number[] {
	return awaited.filter((each) => each !== child);
}
