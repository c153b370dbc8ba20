/** The guards and actions of the statechart in supervisor.ts. */
import { type EventObject, fromCallback, sendTo, setup } from 'xstate';
import type { Decision } from '../facts/facts.ts';
import { restartWait } from '../rules/respawn.ts';
import { checkTime } from '../rules/verification.ts';
import { isCandidateBorn, isServiceLost } from '../state/recoveryState.ts';
import { noChecks } from '../state/supervisorState.ts';
import { expectEvent, outputOf } from './expectEvent.ts';
import { generationMachine } from './generation.ts';
import type { GenerationOrder, GenerationOutput, HealthCheckInput, TimerInput } from './protocol.ts';
import { upgradeMachine } from './selfUpgrade.ts';
import {
	degradedCheck,
	type GenerationRef,
	type SupervisorContext,
	type SupervisorEvent,
	type SupervisorOutput,
} from './supervisorContext.ts';
import { askerOf, isOf, killTimeoutOf, nextAttempt, resetOf, stopSignalOf, upAtOf } from './supervisorDecisions.ts';

const base = setup({
	types: {
		context: {} as SupervisorContext,
		events: {} as SupervisorEvent,
		output: {} as SupervisorOutput,
	},
	actors: {
		generation: generationMachine,
		upgrade: upgradeMachine,
		timer: fromCallback<EventObject, TimerInput>(() => {
			throw new Error('the timer actor was not provided');
		}),
		healthCheck: fromCallback<EventObject, HealthCheckInput>(() => {
			throw new Error('the health check was not provided');
		}),
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		isCandidate: ({ context, event }) => isOf(context.candidate, event),
		isServing: ({ context, event }) => isOf(context.serving, event) && context.serving in context.generations,
		/** While a candidate boots, the serving generation gets a new child only if it has no child left. */
		isFillable: ({ context: { serving, candidate, bake, checks }, event }) =>
			event.type === 'slotDue' &&
			(event.generation === candidate ||
				(event.generation === serving &&
					(candidate === null || bake !== null || checks.candidate !== null || event.isAlone))),
		isDraining: ({ context: { generations, serving, candidate }, event }) =>
			event.type === 'generation.stopRequested' &&
			event.generation in generations &&
			event.generation !== serving &&
			event.generation !== candidate,
		isCandidateToStop: ({ context, event }) => isCandidateToStop(context, event),
		isCandidateToKill: ({ context, event }) =>
			event.type === 'generation.stopRequested' && event.kill !== undefined && isCandidateToStop(context, event),
		isCandidateBesideServing: ({ context, event }) =>
			isOf(context.candidate, event) && context.serving in context.generations,
		isCandidateToBake: ({ context, event }) =>
			context.plan.bake > 0 &&
			context.bake === null &&
			isOf(context.candidate, event) &&
			context.serving in context.generations,
		isCandidateToCheck: ({ context, event }) => context.plan.check !== '' && isOf(context.candidate, event),
		isChecked: ({ context: { plan } }) => plan.check !== '',
		/** The serving generation was kept as degraded. Its children are up, and it has not passed the health check yet. */
		isServingToCheck: ({ context, event }) =>
			context.plan.check !== '' && !context.isComplete && isOf(context.serving, event),
		isServingRechecked: ({ context, event }) =>
			!context.isComplete && context.checks.serving !== null && isOf(context.serving, event),
		isServingDegraded: ({ context, event }) => !context.isComplete && isOf(context.serving, event),
		/** A degraded candidate fails, unless the serving generation has no living child and the candidate has one. */
		isCandidateFailed: ({ context, event }) =>
			isOf(context.candidate, event) &&
			context.serving in context.generations &&
			(context.isServed || (event.type === 'generationDegraded' && !event.isAlive)),
		isCandidateBesideOthers: ({ context, event }) => isOf(context.candidate, event) && hasOthers(context),
		/** The last generation has ended and was never complete, without a stop and without `generation.exhausted`. */
		isOverUnserved: ({ context, event }) =>
			!hasOthers(context) &&
			context.stopSignal === null &&
			!outputOf<GenerationOutput>(event).isExhausted &&
			(isOf(context.candidate, event) || (isOf(context.serving, event) && !context.isComplete)),
		isServingBesideOthers: ({ context, event }) => isOf(context.serving, event) && hasOthers(context),
		isServingToRestart: ({ context, event }) =>
			isOf(context.serving, event) && hasOthers(context) && !context.isQuitting,
		/** Older generations drain, and no generation serves. */
		isUnserved: ({ context: { generations, serving, isQuitting, stopSignal } }) =>
			!(serving in generations) && Object.keys(generations).length > 0 && !isQuitting && stopSignal === null,
		/** The last generation has ended. */
		isOver: ({ context }) => !hasOthers(context),
		isQueued: ({ context }) => context.queued !== null,
		isNobodyLeaving: ({ context: { generations, serving, candidate } }) => {
			for (const each in generations) if (Number(each) !== serving && Number(each) !== candidate) return false;
			return true;
		},
		isStopping: ({ context }) => context.stopSignal !== null,
		hadBegunToStop: ({ event }) =>
			event.type === 'supervisor.recovered' && event.by === 'start' && event.state.stopSignal !== null,
		/** The supervisor was killed before each child of its candidate had a process. */
		isCandidateUnborn: ({ event }) => event.type === 'supervisor.recovered' && !isCandidateBorn(event.state),
		/** The supervisor was killed after its serving generation ended, before it scheduled a new generation. */
		wasServiceLost: ({ event }) => event.type === 'supervisor.recovered' && isServiceLost(event.state),
	},
});

/** The id of the actor that checks a serving generation which is degraded. */
const recheckId = 'recheck';

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const supervisorSetup = base.extend({
	actions: {
		passOnToUpgrade: sendTo('upgrade', ({ event }) =>
			expectEvent(event, 'signal.USR1', 'signal.USR2', 'upgrade.requested'),
		),
		keepQueued: base.assign({ queued: ({ event }) => askerOf(event) }),
		keepStop: base.assign(({ context, event }) => ({
			stopSignal: stopSignalOf(context, event),
			plan: { ...context.plan, kill: killTimeoutOf(context, event) },
			queued: null,
			bake: null,
			checks: noChecks,
		})),
		beginAgain: base.assign(({ context: { queued, trigger, checks } }) => ({
			candidate: null,
			bake: null,
			checks: { ...checks, candidate: null },
			queued: queued ?? trigger,
		})),
		keepQuit: base.assign({ isQuitting: true, restart: null }),
		keepRestart: base.assign({
			restarts: nextAttempt,
			restart: (args) => ({ millis: restartWait(nextAttempt(args)), at: 0, clock: null }),
		}),
		undoStop: base.assign({
			stopSignal: null,
			serving: 0,
			isComplete: false,
			candidate: null,
			bake: null,
			checks: noChecks,
			queued: null,
		}),
		keepBake: base.assign(({ context, event }) => ({
			bake: { millis: context.plan.bake, at: 0, clock: null, upAt: upAtOf({ context, event }) },
			checks: { ...context.checks, candidate: null },
		})),
		keepCheck: base.assign(({ context, event }) => ({
			checks: { ...context.checks, candidate: newCheck(checkTime(context.plan), { context, event }) },
		})),
		/** Checks the serving generation, which is degraded, until it passes. */
		recheck: base.enqueueActions(({ enqueue, context, event }) => {
			const { generation } = expectEvent(event, 'generationUp', 'check.failed');
			enqueue.assign({ checks: { ...context.checks, serving: newCheck(0, { context, event }) } });
			enqueue.stopChild(recheckId);
			enqueue.spawnChild('healthCheck', { id: recheckId, input: degradedCheck(generation) });
		}),
		stopRecheck: base.stopChild(recheckId),
		dropRecheck: base.assign(({ context: { checks } }) => ({ checks: { ...checks, serving: null } })),
		keepPlan: base.assign({ plan: ({ event }) => expectEvent(event, 'supervisor.started').plan }),
		noteStatus: base.assign({
			status: ({ context, event }) => expectEvent(event, 'generationDegraded').status ?? context.status,
		}),
		startGeneration: base.assign(({ context, event, spawn }) => {
			const { plan, lastChild } = context;
			const generation = context.lastGeneration + 1;
			const isGated = plan.verify !== 'none' && context.serving in context.generations;
			const isBaked = plan.bake > 0 && context.serving in context.generations;
			const input = { generation, plan, firstChild: lastChild + 1, isGated, isBaked };
			const ref = spawn('generation', { id: `generation.${generation}`, input });
			return {
				candidate: generation,
				lastGeneration: generation,
				lastSize: plan.size,
				lastChild: lastChild + plan.size,
				trigger: askerOf(event) ?? context.queued ?? 'start',
				queued: null,
				restart: null,
				bake: null,
				checks: { ...context.checks, candidate: null },
				isQuitting: false,
				generations: { ...context.generations, [generation]: ref },
			};
		}),
		promote: base.assign(({ context, event }) => ({
			serving: context.candidate ?? 0,
			isComplete: true,
			isServed: true,
			candidate: null,
			bake: null,
			checks: noChecks,
			servingUpAt: upAtOf({ context, event }),
			...resetOf({ context, event }),
		})),
		/** The check of the serving generation, if it has begun in this step, stays. */
		keepDegraded: base.assign(({ context: { candidate, checks }, event }) => ({
			serving: candidate ?? 0,
			isComplete: false,
			isServed: true,
			candidate: null,
			bake: null,
			checks: { candidate: null, serving: event.type === 'check.failed' ? checks.serving : null },
			servingUpAt: null,
		})),
		makeComplete: base.assign(({ context: { checks }, event }) => ({
			isComplete: true,
			servingUpAt: event.type === 'generationUp' ? event.upAt : (checks.serving?.upAt ?? 0),
			checks: { ...checks, serving: null },
		})),
		noteEmptied: base.assign({ isServed: false }),
		/** Only the supervisor numbers children, so each number is unique. */
		fill: base.enqueueActions(({ enqueue, context: { generations, lastChild }, event }) => {
			const { generation, index } = expectEvent(event, 'slotDue');
			const ref = generations[generation];
			if (!ref) return;
			enqueue.assign({ lastChild: lastChild + 1, isServed: true });
			enqueue.sendTo(ref, { type: 'fill', index, child: lastChild + 1 });
		}),
		/** The serving generation asks again for children in the slots that the rotation held back. */
		refill: base.enqueueActions(({ enqueue, context: { generations, serving } }) => {
			const ref = generations[serving];
			if (ref) enqueue.sendTo(ref, { type: 'refill' });
		}),
		fail: base.assign(({ context: { checks } }) => ({
			candidate: null,
			bake: null,
			checks: { ...checks, candidate: null },
		})),
		/** An actor that is done stays among xstate's children of the statechart until it is stopped. */
		forget: base.enqueueActions(({ enqueue, context, event }) => {
			const { generation, status, wasHealthy } = outputOf<GenerationOutput>(event);
			const { [generation]: gone, ...generations } = context.generations;
			if (gone) enqueue.stopChild(gone);
			if (generation === context.serving) enqueue.stopChild(recheckId);
			const restarts = wasHealthy && generation === context.serving ? 0 : context.restarts;
			enqueue.assign({ generations, restarts, status: status ?? context.status });
		}),
		/** The serving generation and the candidate take their pending steps. */
		resume: base.enqueueActions(({ enqueue, context: { generations, serving, candidate } }) => {
			for (const each of [serving, candidate ?? 0]) {
				const ref = generations[each];
				if (ref) enqueue.sendTo(ref, { type: 'resume' });
			}
		}),
		dismissServing: sendTo(({ context }) => generationIn(context, context.serving), drainOrder),
		dismissCandidate: sendTo(
			({ context }) => generationIn(context, context.candidate),
			({ context: { plan } }) => ({ type: 'leave', signal: plan.drain, reason: 'drain', isDismissal: true }) as const,
		),
		/** The candidate's children that have a process are stopped, with the kill timeout of a failed generation. */
		dismissUnborn: base.enqueueActions(({ enqueue, context }) => {
			const { generations, candidate, plan } = context;
			const ref = generations[candidate ?? 0];
			if (ref) enqueue.sendTo(ref, { type: 'leave', signal: plan.drain, reason: 'drain', isDismissal: true });
		}),
		/** No generation serves any more, so a child of the candidate is up as soon as it is ready. */
		ungateCandidate: sendTo(({ context }) => generationIn(context, context.candidate), {
			type: 'continue',
		}),
		/** The candidate, which has waited for it, is promoted. */
		endWait: sendTo(({ context }) => generationIn(context, context.candidate), { type: 'continue' }),
		continue: sendTo(
			({ context, event }) =>
				generationIn(context, expectEvent(event, 'generationDegraded', 'check.passed').generation),
			{
				type: 'continue',
			},
		),
		stopAll: base.enqueueActions(({ enqueue, context, event }) => {
			const [signal, kill] = [stopSignalOf(context, event), killTimeoutOf(context, event)];
			const { generations, serving, candidate } = context;
			for (const [generation, ref] of Object.entries(generations)) {
				const isDismissal = Number(generation) === candidate && serving in generations;
				enqueue.sendTo(ref, { type: 'stop', signal, kill, ...(isDismissal ? { isDismissal } : {}) });
			}
		}),
		stopGeneration: sendTo(
			({ context, event }) => generationIn(context, expectEvent(event, 'generation.stopRequested').generation),
			({ context, event }) => ({
				type: 'stop',
				signal: stopSignalOf(context, event),
				kill: expectEvent(event, 'generation.stopRequested').kill ?? null,
			}),
		),
		/** Kills the oldest draining generations, if more drain than -max-draining allows. */
		crowdOut: base.enqueueActions(({ enqueue, context }) => {
			const { plan, generations, serving, candidate } = context;
			if (plan.maxDraining === 0) return;
			const leaving = Object.keys(generations)
				.map(Number)
				.filter((each) => each !== serving && each !== candidate)
				.sort((a, b) => a - b);
			for (const each of leaving.slice(0, Math.max(0, leaving.length - plan.maxDraining))) {
				enqueue.sendTo(generationIn(context, each), { type: 'crowdOut' });
			}
		}),
		forwardToAll: base.enqueueActions(({ enqueue, context }) => {
			sendToAll(enqueue, context, { type: 'forward', signal: 'QUIT' });
		}),
		/** Stops older generations that an earlier supervisor did not stop before it was killed. */
		dismissOthers: base.enqueueActions(({ enqueue, context }) => {
			const { [context.serving]: _, [context.candidate ?? 0]: __, ...others } = context.generations;
			for (const each of Object.values(others)) enqueue.sendTo(each, drainOrder({ context }));
		}),
		dismissAll: base.enqueueActions(({ enqueue, context }) => {
			sendToAll(enqueue, context, { type: 'leave', signal: context.stopSignal ?? 'TERM', reason: 'stop' });
		}),
	},
});

function newCheck(millis: number, args: { context: SupervisorContext; event: SupervisorEvent }) {
	return { millis, at: 0, clock: null, upAt: upAtOf(args), problem: null };
}

/** @throws {Error} if the generation does not exist */
function generationIn({ generations }: SupervisorContext, generation: number | null): GenerationRef {
	const ref = generations[generation ?? 0];
	if (!ref) throw new Error(`there is no generation ${generation}`);
	return ref;
}

function sendToAll(enqueue: Enqueue, { generations }: SupervisorContext, order: GenerationOrder) {
	for (const each of Object.values(generations)) enqueue.sendTo(each, order);
}

function drainOrder({ context: { plan } }: { context: SupervisorContext }): GenerationOrder {
	return { type: 'leave', signal: plan.drain, reason: 'drain' };
}

/** A stop of the candidate was requested, and the serving generation has a living child. */
function isCandidateToStop(context: SupervisorContext, event: SupervisorEvent): boolean {
	const { candidate, serving, generations, isServed } = context;
	return event.type === 'generation.stopRequested' && isOf(candidate, event) && serving in generations && isServed;
}

/** Whether more than one generation exists. */
function hasOthers({ generations }: SupervisorContext): boolean {
	let count = 0;
	for (const _ in generations) {
		count += 1;
		if (count > 1) return true;
	}
	return false;
}
