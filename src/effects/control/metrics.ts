/** Metrics in the Prometheus text format, without a library: the format is smaller than the dependency. */
import { type Counters, readyBounds } from '../../machines/state/counters.ts';
import { healthStates } from '../../machines/state/health.ts';
import type { LogCounts } from '../log/sink.ts';
import type { Status } from './statusReport.ts';

export interface MetricsOptions {
	status: Status;
	counters: Counters;
	log: LogCounts;
}

const states = ['starting', 'running', 'rotating', 'checking', 'baking', 'draining', 'unserved', 'stopping', 'stopped'];

const generationStates = ['starting', 'checking', 'baking', 'serving', 'draining'];

type Sample = [labels: Record<string, string | number>, value: number];

/** Formats the metrics page. */
export function metricsText({ status, counters, log }: MetricsOptions): string {
	const { generations, listeners, upgrades } = status;
	const living = (state: string) => generations.filter((each) => each.state === state);
	const queues = (of: 'queue' | 'backlog'): Sample[] =>
		listeners.flatMap(({ address, fd, [of]: value }) => (value === null ? [] : [[{ address, fd }, value]]));
	return [
		metric('build_info', 'gauge', 'The program that supervises.', [[{ version: status.version }, 1]]),
		metric('start_time_seconds', 'gauge', 'When the process began, in seconds since 1970.', [
			[{}, status.since / 1000],
		]),
		metric(
			'state',
			'gauge',
			'1 for the state that the supervisor is in.',
			states.map((state) => [{ state }, state === status.state ? 1 : 0]),
		),
		metric(
			'health',
			'gauge',
			'1 for the health of the service: all children serve (ok), some, or none (down).',
			healthStates.map((state) => [{ state }, state === status.health.state ? 1 : 0]),
		),
		metric(
			'generations',
			'gauge',
			'Generations that live.',
			generationStates.map((state) => [{ state }, living(state).length]),
		),
		metric(
			'children',
			'gauge',
			'Children that live.',
			generationStates.map((state) => [
				{ state },
				living(state).reduce((sum, { children }) => sum + children.length, 0),
			]),
		),
		metric(
			'connections',
			'gauge',
			'Established connections that the children of a generation hold.',
			generations.flatMap(({ generation, children }): Sample[] => {
				const counts = children.flatMap(({ connections }) => connections ?? []);
				const isKnown = counts.length === children.length;
				return isKnown ? [[{ generation }, counts.reduce((sum, count) => sum + count, 0)]] : [];
			}),
		),
		metric(
			'draining_accepting_children',
			'gauge',
			'Children of a generation that were told to leave and accept new connections all the same.',
			generations.flatMap(({ generation, state, children }): Sample[] => {
				const isKnown = children.every(({ phase, accepting }) => phase !== 'draining' || accepting !== null);
				if (state !== 'draining' || !isKnown) return [];
				return [[{ generation }, children.filter(({ accepting }) => accepting === true).length]];
			}),
		),
		metric('accept_queue_connections', 'gauge', 'Connections that wait to be accepted.', queues('queue')),
		metric('accept_backlog_connections', 'gauge', 'Connections that may wait to be accepted.', queues('backlog')),
		metric('rotation_queued', 'gauge', '1 where a further rotation is asked for.', [[{}, status.queued ? 1 : 0]]),
		metric(
			'rotations_total',
			'counter',
			'Rotations by what became of them.',
			Object.entries(counters.rotations).map(([result, count]) => [{ result }, count]),
		),
		metric('rotations_unverified_total', 'counter', 'Rotations onto a generation that was not seen to accept.', [
			[{}, counters.unverified],
		]),
		readyHistogram(counters),
		metric('checks_total', 'counter', 'Health checks of generations (-check), by their result.', [
			[{ result: 'passed' }, counters.checks.passed],
			[{ result: 'failed' }, counters.checks.failed],
		]),
		metric('check_seconds_total', 'counter', 'Seconds that the health checks of generations took.', [
			[{}, Math.round(counters.checks.seconds * 1000) / 1000],
		]),
		metric('hung_children_total', 'counter', 'Children that were aborted as their watchdog had expired (-watchdog).', [
			[{}, counters.hung],
		]),
		metric('respawns_total', 'counter', 'Children that took the place of one that was lost.', [
			[{}, counters.respawns],
		]),
		metric('upgrades_total', 'counter', 'Upgrades of the supervisor.', [
			[{ result: 'done' }, upgrades.done],
			[{ result: 'failed' }, upgrades.failed],
		]),
		metric('recoveries_total', 'counter', 'Times that it was taken over after a crash.', [[{}, status.recoveries]]),
		metric('log_lines_total', 'counter', 'Lines that the log has taken.', [[{}, log.lines]]),
		metric('log_bytes_total', 'counter', 'Bytes that the log has taken.', [[{}, log.bytes]]),
		metric('log_dropped_lines_total', 'counter', 'Lines that nobody could take.', [[{}, log.lost.lines]]),
		metric('log_dropped_bytes_total', 'counter', 'Bytes that nobody could take.', [[{}, log.lost.bytes]]),
	].join('');
}

function metric(name: string, type: string, help: string, samples: Sample[]): string {
	if (samples.length === 0) return '';
	const full = `socketmaster_${name}`;
	const lines = samples.map(([labels, value]) => `${full}${labelText(labels)} ${value}\n`);
	return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
}

function readyHistogram({ ready: { counts, count, seconds } }: Counters): string {
	const full = 'socketmaster_ready_seconds';
	const buckets = readyBounds.map((bound, index) => `${full}_bucket{le="${bound}"} ${counts[index] ?? 0}\n`);
	return [
		`# HELP ${full} Seconds from the birth of a generation to its being up.\n# TYPE ${full} histogram\n`,
		...buckets,
		`${full}_bucket{le="+Inf"} ${count}\n${full}_sum ${seconds}\n${full}_count ${count}\n`,
	].join('');
}

function labelText(labels: Record<string, string | number>): string {
	const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
	return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
	return text.replace(/[\\"\n]/g, (each) => (each === '\n' ? '\\n' : `\\${each}`));
}
