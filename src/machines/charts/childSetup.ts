/** The guards and actions of the statechart in child.ts. */
import { type EventObject, fromCallback, sendParent, setup } from 'xstate';
import type { Decision } from '../facts/facts.ts';
import { bootDeadline, isReadyByTime, isStoppedTooLong } from '../rules/verification.ts';
import { awaitedOf, isNoGood } from '../state/supervisorState.ts';
import { type ChildContext, noticeCheck, type StopSignal } from './childContext.ts';
import {
	codeOf,
	codeOfRejection,
	deadlineBy,
	externalOf,
	reasonOf,
	statusOf,
	whyRejected,
	whyUnverified,
} from './childDecisions.ts';
import { expectEvent } from './expectEvent.ts';
import type {
	ChildEvent,
	ChildInput,
	ChildNews,
	ChildOrder,
	ChildOutput,
	ListenerCheckInput,
	ProcessCommand,
	ProcessInput,
	StopOrder,
	TimerInput,
} from './protocol.ts';

const base = setup({
	types: {
		context: {} as ChildContext,
		input: {} as ChildInput,
		output: {} as ChildOutput,
		events: {} as ChildEvent | ChildOrder,
	},
	actors: {
		process: fromCallback<ProcessCommand, ProcessInput>(() => {
			throw new Error('the process actor was not provided');
		}),
		timer: fromCallback<EventObject, TimerInput>(() => {
			throw new Error('the timer actor was not provided');
		}),
		listenerCheck: fromCallback<EventObject, ListenerCheckInput>(() => {
			throw new Error('the listener check was not provided');
		}),
	},
	actions: {
		decide: (_, _decision: Decision) => {
			throw new Error('the decide action was not provided');
		},
	},
	guards: {
		hasAnnounced: ({ context }) => context.recovered.announced !== null && !context.isRejected,
		hasAnnouncedAndIsGated: ({ context }) =>
			context.recovered.announced !== null && context.isGated && !context.isRejected,
		isUngated: ({ context }) => !context.isGated && !context.isRejected,
		isUnawaited: ({ context }) => context.recovered.isUnawaited,
		isGated: ({ context }) => context.isGated,
		/** The listener check makes the child ready. */
		isLookedFor: ({ context }) => context.plan.ready === 'accept' && !context.isHidden,
		isUnseeable: ({ context, event }) =>
			context.plan.ready === 'accept' && event.type === 'child.verified' && !event.isSeen,
		isDismissed: ({ context, event }) =>
			(event.type === 'leave' || (event.type === 'stop' && context.reached.upAt === null)) &&
			event.isDismissal === true,
		isRejected: ({ context }) => context.isRejected,
		leavesOthers: ({ event }) => event.type === 'child.exited' && event.survivors.length > 0,
		leavesOthersInTime: ({ context, event }) =>
			event.type === 'child.exited' && awaitedOf(event, context.plan, isNoGood(context)).length > 0,
		isWaitedFor: ({ context, event }) =>
			isReadyByTime(context.plan, context.isHidden) &&
			!isStoppedTooLong(context.plan, context.process.born, event.type === 'child.stopped' ? (event.clock ?? 0) : 0),
		isBootTimerBeforeGate: ({ context, event }) =>
			context.isGated &&
			isReadyByTime(context.plan, context.isHidden) &&
			event.type === 'timer.elapsed' &&
			event.timer === 'boot',
		isBootTimerThatIsEnough: ({ context, event }) =>
			isReadyByTime(context.plan, context.isHidden) && event.type === 'timer.elapsed' && event.timer === 'boot',
		movesDeadline: ({ context, event }) => {
			const { process, deadline, plan } = context;
			if (event.type !== 'child.delayed') return false;
			return deadlineBy(context, event) > bootDeadline(plan, deadline, process.born ?? 0);
		},
		isBootTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'boot',
		changesKillTimeout: ({ context, event }) =>
			event.type === 'stop' && event.kill !== null && event.kill !== context.plan.kill,
		isAborted: ({ event }) => event.type === 'child.hung' && event.attempt > 1,
		isKillTimer: ({ event }) => event.type === 'timer.elapsed' && event.timer === 'kill',
	},
});

type Enqueue = Parameters<Parameters<typeof base.enqueueActions>[0]>[0]['enqueue'];

export const childSetup = base.extend({
	actions: {
		keepStopped: base.assign({ since: null, deadline: null, wasStopped: true }),
		keepProcess: base.assign(({ event }) => {
			const { pid, clock = 0 } = expectEvent(event, 'child.spawned');
			return { process: { pid, born: clock } };
		}),
		keepDeadline: base.assign({
			deadline: ({ context, event }) => deadlineBy(context, expectEvent(event, 'child.delayed')),
		}),
		keepReady: base.assign({ reached: ({ event }) => ({ readyAt: externalOf(event).clock ?? 0, upAt: null }) }),
		keepUp: base.assign({
			reached: ({ context: { reached } }) => ({ ...reached, upAt: reached.readyAt ?? 0 }),
		}),
		keepHidden: base.assign({ isHidden: true }),
		noteDismissed: base.assign({ isDismissed: true }),
		ungate: base.assign({ isGated: false }),
		keepUnverified: base.assign({
			loss: ({ context, event }) => ({
				status: null,
				reason: whyUnverified(context, expectEvent(event, 'child.unverified')),
				code: codeOfRejection(event),
			}),
		}),
		/** Checks a serving child. The log has a warning if the child does not accept after a while. */
		lookOn: base.spawnChild('listenerCheck', {
			id: 'lookout',
			input: ({ context: { child } }) => noticeCheck(child),
		}),
		reject: base.enqueueActions(({ enqueue, context, event }) => {
			const reason = whyRejected(context, externalOf(event));
			const code = codeOfRejection(event);
			enqueue.assign({ isRejected: true, loss: { status: 1, reason, code }, since: null });
			signal(enqueue, context, { signal: context.plan.drain, reason: 'drain' });
		}),
		sendSignal: base.enqueueActions(({ enqueue, context, event }) => {
			const stopSignal = stopSignalIn(expectEvent(event, 'leave', 'stop'));
			enqueue.assign({ stopSignal, since: null });
			signal(enqueue, context, stopSignal);
		}),
		sendDrainSignal: base.enqueueActions(({ enqueue, context }) => {
			enqueue.assign({ since: null });
			signal(enqueue, context, { signal: context.plan.drain, reason: 'drain' });
		}),
		/** Sends the stop signal to the surviving processes. */
		askOthers: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.stopSignal)),
		passOn: base.enqueueActions(({ enqueue, context, event }) => {
			enqueue.assign({ forwarding: { ...context.forwarding, wasForwarded: true } });
			signal(enqueue, context, { signal: expectEvent(event, 'forward').signal, reason: 'forward' });
		}),
		kill: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'kill' });
		}),
		abort: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'ABRT', reason: 'watchdog' });
		}),
		killHung: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'watchdog' });
		}),
		killCrowded: base.enqueueActions(({ enqueue, context }) => {
			signal(enqueue, context, { signal: 'KILL', reason: 'crowd' });
		}),
		rememberSignal: base.assign(({ event }) => ({ stopSignal: stopSignalIn(expectEvent(event, 'leave', 'stop')) })),
		keepKillTimeout: base.assign(({ context, event }) => ({
			plan: { ...context.plan, kill: expectEvent(event, 'stop').kill ?? context.plan.kill },
			since: null,
		})),
		sendRememberedSignal: base.enqueueActions(({ enqueue, context }) => signal(enqueue, context, context.stopSignal)),
		rememberForward: base.assign(({ context, event }) => ({
			forwarding: {
				...context.forwarding,
				pending: [...context.forwarding.pending, expectEvent(event, 'forward').signal],
			},
		})),
		passOnRemembered: base.enqueueActions(({ enqueue, context }) => {
			const { pending } = context.forwarding;
			if (pending.length > 0) enqueue.assign({ forwarding: { pending, wasForwarded: true } });
			for (const name of pending) signal(enqueue, context, { signal: name, reason: 'forward' });
		}),
		reportUp: sendParent(
			({ context: { child, reached } }): ChildNews => ({
				type: 'childUp',
				child,
				upAt: reached.upAt ?? 0,
			}),
		),
		reportUnverified: sendParent(({ context: { child, loss } }): ChildNews => {
			const { reason, code } = loss;
			return { type: 'childUnverified', child, reason, code };
		}),
		reportRejected: sendParent(({ context: { child, loss } }): ChildNews => {
			const { reason, code } = loss;
			return { type: 'childRejected', child, reason, code };
		}),
		keepStatus: base.assign({
			loss: ({ event }) => {
				const external = externalOf(event);
				return { status: statusOf(external), reason: reasonOf(external), code: codeOf(external) };
			},
		}),
		keepEnd: base.assign({
			since: null,
			end: ({ event }) => {
				const { seq, clock = 0 } = externalOf(event);
				return { seq, at: clock };
			},
		}),
	},
});

/** Records that the child is about to be signalled, then signals it. */
function signal(enqueue: Enqueue, { child }: ChildContext, { signal, reason }: StopSignal) {
	enqueue({ type: 'decide', params: { type: 'child.signalled', child, signal, reason } });
	enqueue.sendTo('process', { type: 'signal', signal });
}

function stopSignalIn(order: StopOrder): StopSignal {
	return { signal: order.signal, reason: order.type === 'leave' ? order.reason : 'stop' };
}
