/** The guards, actions and decisions of the statechart in generation.ts. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type { Decision, FailureCode } from '../facts/facts.ts';
import { deathsAllowed, isHealthy, isRespawned, respawnWait } from '../rules/respawn.ts';
import { deathsIn, type Slot, vacated, withSlot } from '../rules/slots.ts';
import type { ChildState, Respawn } from '../state/supervisorState.ts';
import { childMachine } from './child.ts';
import { expectEvent, outputOf } from './expectEvent.ts';
import {
	type ChildRef,
	type GenerationContext,
	type GenerationEvent,
	respawnTimer,
	timerOf,
	vacantSlot,
} from './generationContext.ts';
import type { ChildOutput, GenerationInput, GenerationNews, GenerationOutput, TimerInput } from './protocol.ts';

const base = setup({
	types: {
		context: {} as GenerationContext,
		input: {} as GenerationInput,
		events: {} as GenerationEvent,
		output: {} as GenerationOutput,
	},
	actors: {
		child: childMachine,
		timer: fromCallback<EventObject, TimerInput>(() => {
			throw new Error('the timer actor was not provided');
		}),
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		isUp: ({ context }) => isUp(context),
		isUpToWait: ({ context }) => (context.isBaked || context.plan.check !== '') && isUp(context),
		isDue: ({ context, event }) =>
			event.type === 'fill' && context.slots.some(({ index, vacancy }) => index === event.index && vacancy === 'due'),
		/** The generation has no child left. */
		isVacant: ({ context }) => Object.keys(context.children).length === 0,
		/** The child that ended was the last, and no slot is to be filled again. */
		isLast: ({ context }) =>
			Object.keys(context.children).length === 1 && context.slots.every(({ vacancy }) => vacancy === null),
		isRespawned: ({ context, event }) => isSlotRespawned(context, event),
		isExhausted: ({ context, event }) => isExhausted(context, event) && Object.keys(context.children).length === 1,
		isExhaustedBesideOthers: ({ context, event }) => isExhausted(context, event),
		wasToldToLeave: ({ event }) => 'output' in event && event.output.status === null,
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

interface Args {
	context: GenerationContext;
}

export const decisions = {
	exhausted: ({ context: { generation, slots, status } }: Args): Decision => ({
		type: 'generation.exhausted',
		generation,
		deaths: deathsIn(slots),
		status: status ?? 0,
	}),
};

export const generationSetup = base.extend({
	actions: {
		spawnChildren: base.enqueueActions(({ enqueue, context: { firstChild, plan } }) => {
			for (let index = 0; index < plan.size; index += 1) {
				add(enqueue, { child: firstChild + index, index, attempt: 0, wasUp: false });
			}
		}),
		noteUp: base.assign(({ context, event }) => {
			const { child, upAt } = expectEvent(event, 'childUp');
			return { upAt, slots: changed(context, child, { isUp: true, wasUp: true }) };
		}),
		noteGoing: base.assign(({ context, event }) => ({
			slots: changed(context, expectEvent(event, 'childRejected').child, { isUp: false, isGoing: true }),
		})),
		noteReason: base.assign(({ event }) => ({ ...whyOf(event), status: null })),
		noteRejection: base.assign(({ event }) => ({ ...whyOf(event), status: 1 })),
		/** Children that are started from now on are up as soon as they are ready. */
		ungate: base.assign({ isGated: false, isBaked: false }),
		noteExhausted: base.assign({ isExhausted: true }),
		noteDue: base.enqueueActions(({ enqueue, context, event }) => {
			const due = expectEvent(event, 'respawn.due').index;
			enqueue.stopChild(timerOf(due));
			enqueue.assign({
				slots: context.slots.map((slot) =>
					slot.index === due && slot.vacancy === 'waiting' ? { ...slot, vacancy: 'due' as const } : slot,
				),
			});
		}),
		forget: base.enqueueActions(({ enqueue, context, event }) => {
			const output = outputOf<ChildOutput>(event);
			removeChild(enqueue, context, output);
			enqueue.assign({ slots: context.slots.filter(({ child }) => child !== output.child) });
		}),
		/** The child's slot is to be filled again. */
		vacate: base.enqueueActions(({ enqueue, context, event }) => {
			const output = outputOf<ChildOutput>(event);
			removeChild(enqueue, context, output);
			enqueue.assign({
				slots: context.slots.map((slot) => (slot.child === output.child ? vacated(slot, output) : slot)),
			});
		}),
		scheduleRespawns: base.enqueueActions(({ enqueue, context: { slots, generation, plan } }) => {
			for (const { index, vacancy, attempt, wasUp, seq } of slots) {
				if (vacancy !== 'lost') continue;
				const millis = respawnWait(plan.respawn, attempt, seq);
				const respawn = { generation, index, attempt, wasUp, millis };
				enqueue({ type: 'decide', params: { type: 'respawn.scheduled', ...respawn } });
				awaitRespawn(enqueue, respawn);
			}
		}),
		dropVacancies: base.enqueueActions(({ enqueue, context: { slots } }) => {
			for (const { index, vacancy } of slots) if (vacancy === 'waiting') enqueue.stopChild(timerOf(index));
			enqueue.assign({ slots: slots.filter(({ vacancy }) => vacancy === null) });
		}),
		askToFill: base.enqueueActions(({ enqueue, context: { slots, children, generation } }) => {
			const isAlone = Object.keys(children).length === 0;
			for (const { index, vacancy } of slots) {
				if (vacancy !== 'due') continue;
				enqueue(sendParent({ type: 'slotDue', generation, index, isAlone } satisfies GenerationNews));
			}
		}),
		fill: base.enqueueActions(({ enqueue, context, event }) => {
			const { index, child } = expectEvent(event, 'fill');
			const { attempt = 0, wasUp = false } = context.slots.find((slot) => slot.index === index) ?? {};
			add(enqueue, { child, index, attempt, wasUp });
		}),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			for (const child of Object.values(context.children))
				enqueue.sendTo(child, expectEvent(event, 'forward', 'leave', 'stop', 'crowdOut', 'resume', 'continue'));
		}),
		dismissRest: base.enqueueActions(({ enqueue, context: { children, plan } }) => {
			for (const child of Object.values(children)) {
				enqueue.sendTo(child, { type: 'leave', signal: plan.drain, reason: 'drain', isDismissal: true });
			}
		}),
		reportUp: sendParent(
			({ context: { generation, upAt } }): GenerationNews => ({ type: 'generationUp', generation, upAt: upAt ?? 0 }),
		),
		/** The generation has no child left, and a slot is to be filled again. */
		reportIfEmpty: base.enqueueActions(({ enqueue, context: { children, generation } }) => {
			if (Object.keys(children).length > 0) return;
			enqueue(sendParent({ type: 'generationEmpty', generation } satisfies GenerationNews));
		}),
		reportDegraded: sendParent(
			({ context: { generation, status, reason, code, slots } }): GenerationNews => ({
				type: 'generationDegraded',
				generation,
				status,
				reason,
				code,
				isAlive: slots.some(({ child, isGoing }) => child !== null && !isGoing),
			}),
		),
	},
});

/** Creates the actor of a child in a slot, and orders it to spawn. */
function add(
	enqueue: Enqueue,
	{ child, index, attempt, wasUp }: Pick<ChildState, 'child' | 'index' | 'attempt' | 'wasUp'>,
) {
	enqueue.assign(({ context, spawn }) => {
		const id = `child.${child}`;
		const { generation, plan, isGated } = context;
		const ref = spawn('child', { id, systemId: id, input: { child, generation, index, plan, isGated } });
		const slot = { index, child, vacancy: null, isUp: false, isGoing: false, attempt, wasUp, seq: 0 };
		return {
			children: { ...context.children, [child]: ref },
			slots: withSlot(context.slots, slot),
		};
	});
	enqueue.sendTo(({ context }) => context.children[child] as ChildRef, { type: 'spawn' });
}

/** Makes a slot vacant and starts its respawn timer. */
function awaitRespawn(enqueue: Enqueue, respawn: Pick<Respawn, 'index' | 'attempt' | 'wasUp' | 'millis'>) {
	// The loss is answered: it is no reason for what may follow.
	enqueue.assign(({ context }) => ({
		slots: withSlot(context.slots, vacantSlot({ ...respawn, isDue: false })),
		code: 'exited' as const,
	}));
	enqueue.spawnChild('timer', {
		id: timerOf(respawn.index),
		input: ({ context: { generation } }: Args) => respawnTimer({ ...respawn, generation, clock: null }),
	});
}

/** An actor that is done stays among xstate's children of the statechart until it is stopped. */
function removeChild(
	enqueue: Enqueue,
	context: GenerationContext,
	{ child, status, reason, code, wasForwarded, upAt, endedAt }: ChildOutput,
) {
	const { [child]: gone, ...children } = context.children;
	if (gone) enqueue.stopChild(gone);
	// The exit of a stopping child is no reason for a degraded generation, so the earlier reason stays.
	const why = status === null ? { code: 'exited' as const } : { reason, code };
	enqueue.assign({ children, status, wasForwarded, wasHealthy: isHealthy(upAt, endedAt), ...why });
}

/** Whether all children are up. A rejected child, which is stopping, does not count. */
function isUp({ slots }: GenerationContext): boolean {
	return slots.some(({ isUp }) => isUp) && slots.every(({ isUp, isGoing }) => isUp || isGoing);
}

function whyOf(event: GenerationEvent): { reason: string; code: FailureCode } {
	const { reason, code } = expectEvent(event, 'childUnverified', 'childRejected');
	return { reason, code };
}

function changed({ slots }: GenerationContext, child: number, change: Partial<Slot>): Slot[] {
	return slots.map((slot) => (slot.child === child ? { ...slot, ...change } : slot));
}

function isSlotRespawned({ plan }: GenerationContext, event: GenerationEvent): boolean {
	if (!('output' in event)) return false;
	const { status, wasForwarded } = outputOf<ChildOutput>(event);
	return isRespawned(plan, { wasLost: status !== null, wasForwarded });
}

function isExhausted(context: GenerationContext, event: GenerationEvent): boolean {
	if (!isSlotRespawned(context, event)) return false;
	const isEverUp = context.slots.some(({ wasUp }) => wasUp) || outputOf<ChildOutput>(event).upAt !== null;
	return !isEverUp && deathsIn(context.slots) + 1 >= deathsAllowed;
}
