/** `socketmaster rotate`: requests a rotation, and waits for its result. */
import {
	askStatus,
	askStatusUntilAnswered,
	generationIn,
	rotationIn,
	rotationsIn,
} from '../../effects/control/answers.ts';
import { ask, askUntilAnswered, Ended, NoAnswer } from '../../effects/control/client.ts';
import type { Status } from '../../effects/control/statusReport.ts';
import { realPath } from '../../effects/os/realPath.ts';
import { harmless } from '../../effects/terminal/format.ts';
import { screen } from '../../effects/terminal/screen.ts';
import type { Rotation } from '../../machines/state/rotations.ts';
import { isServing } from '../../machines/state/whoServes.ts';
import { duration } from '../../machines/text/duration.ts';
import { CommandError, clientCommand, controlOf, errorOf, exits, limitOf, millisOf } from '../clientCommand.ts';

interface Given {
	control?: unknown;
	timeout?: unknown;
	json?: boolean;
	expect?: unknown;
}

/** Interval at which the progress line is updated, in milliseconds. */
const beat = 500;

export const runRotate = clientCommand(rotate);

async function rotate({ control, timeout, json, expect }: Given): Promise<number> {
	const limit = millisOf('timeout', timeout, 1);
	const expected = directoryOf(expect);
	const path = await controlOf(control);
	const signal = limitOf(limit);
	const out = screen();
	const began = performance.now();
	let generation: number | null = null;
	let isKnown = false;
	try {
		let before = await askStatusUntilAnswered(path, { signal, isFirst: true });
		isKnown = true;
		/**
		 * Finds the rotation of a request whose response was lost. Any generation that started after this command satisfies
		 * the request, also if another client requested the generation. A supervisor of another run has not received it.
		 */
		const answerOf = async () => {
			const now = await askStatus(path, { signal });
			const rotations = now.run === before.run ? rotationsIn(path, await ask(path, '/rotations', { signal })) : [];
			const later = rotations.find((each) => each.generation > newestOf(before));
			if (!later) before = now;
			return later ? { status: 202, body: { generation: later.generation } } : null;
		};
		const response = await askUntilAnswered(path, '/rotate', { method: 'POST', signal, answerOf, limit: null });
		if (response.status !== 202) throw new CommandError(`no rotation: ${errorOf(response.body)}`, exits.failed);
		generation = generationIn(path, response);
		// On a terminal the progress line says so.
		if (!json && !out.isTerminal)
			out.print(`Generation ${generation} was asked for (supervisor ${before.pid})${waitText(before, generation)}`);
		const stop = json || !out.isTerminal ? () => {} : showProgress(path, generation, out);
		const answer = await resultOf(path, generation, before.run, signal).finally(stop);
		const rotation = rotationIn(path, answer);
		if (json) process.stdout.write(`${JSON.stringify(answer.body)}\n`);
		else if (rotation.result === 'promoted')
			out.print(
				[...servingLines(rotation, out), ...originLines(rotation, await replacedBy(path, rotation))].join('\n'),
			);
		const isExpected = expected === null || isStartedFrom(rotation, expected);
		const isNotAccepting = rotation.result === 'promoted' && rotation.code === 'not-accepting';
		if (rotation.result === 'promoted' && !isNotAccepting && isExpected) return exits.done;
		const text = isNotAccepting
			? `✘ Generation ${rotation.generation} serves, as nobody else does, and was not seen to accept: ${harmless(rotation.reason ?? '')}\n`
			: rotation.result === 'promoted'
				? `✘ Generation ${rotation.generation} serves, and was started as ${harmless(rotation.program ?? 'an unknown program')} in ${harmless(rotation.directory ?? 'an unknown directory')}, not from ${expected} (-expect)\n`
				: failureText(rotation, await servingNow(path));
		const error = screen(process.stderr);
		process.stderr.write(json ? `${text.split('\n')[0]}\n` : text.replace(/^.*/, (line) => error.colour(line, 'red')));
		return exits.failed;
	} catch (error) {
		// The supervisor responded before, and its socket file is missing now: a supervisor removes the file when it exits.
		if (error instanceof Ended || (isKnown && error instanceof NoAnswer && error.isGone)) {
			const what = generation === null ? 'no rotation' : `generation ${generation} did not come up`;
			throw new CommandError(`${what}: the supervisor has stopped`, exits.failed);
		}
		if (!signal?.aborted) throw error;
		const after = duration(performance.now() - began);
		if (!isKnown)
			throw new CommandError(
				`no supervisor answers at ${path}: no answer after ${after} (-timeout is in milliseconds); no rotation was asked for`,
				exits.nobody,
			);
		const what = generation === null ? 'no answer' : `generation ${generation} has no result`;
		const rest = generation === null ? '' : '; the rotation goes on';
		throw new CommandError(`${what} after ${after}${rest}`, exits.late);
	}
}

/** The real path of the -expect directory; null if the flag is not given. @throws {CommandError} */
function directoryOf(value: unknown): string | null {
	if (value === undefined) return null;
	try {
		if (value === '') throw new Error('it is empty');
		return realPath(String(value));
	} catch {
		throw new CommandError(`invalid value "${value}" for flag -expect: no such directory`, exits.usage);
	}
}

/** Whether the generation was started with this working directory, or from a program below this directory. */
function isStartedFrom({ directory, program }: Rotation, expected: string): boolean {
	return directory === expected || (program?.startsWith(expected.endsWith('/') ? expected : `${expected}/`) ?? false);
}

/** Names the generation that must have a result first; empty if the rotation has begun. */
function waitText({ generations }: Status, generation: number): string {
	const first = generations.find(
		(each) => ['starting', 'checking', 'baking'].includes(each.state) && each.generation < generation,
	);
	return first ? `; it begins when generation ${first.generation} is up or has failed` : '';
}

type Origin = Pick<Rotation, 'generation' | 'directory' | 'program'>;

/** The newest generation that was told to leave for this one; null if that is not known. */
async function replacedBy(path: string, { replaced }: Rotation): Promise<Origin | null> {
	if (replaced.length === 0) return null;
	try {
		const rotations = rotationsIn(path, await ask(path, '/rotations', { limit: 1000 }));
		return rotations.find(({ generation }) => generation === Math.max(...replaced)) ?? null;
	} catch {
		return null;
	}
}

/** Names the directories, or the programs, of the new and the previous generation if they differ. */
function originLines({ directory, program, generation }: Rotation, old: Origin | null): string[] {
	if (!old || old.generation === generation) return [];
	const [own, other] = directory === old.directory ? [program, old.program] : [directory, old.directory];
	if (own === null || other === null || own === other) return [];
	return [
		`  Generation ${generation} was started from ${harmless(own)}, generation ${old.generation} from ${harmless(other)}`,
	];
}

function newestOf({ generations, last }: Status): number {
	return Math.max(0, last?.generation ?? 0, ...generations.map(({ generation }) => generation));
}

/** Waits for the result of a generation. The wait continues after an upgrade or a recovery. @throws {CommandError} */
async function resultOf(path: string, generation: number, run: string, signal: AbortSignal | undefined) {
	const url = `/rotations/${generation}?wait`;
	for (;;) {
		const answer = await ask(path, url, { signal, limit: null }).catch((error) => {
			if (error instanceof NoAnswer) return null;
			throw error;
		});
		if (answer?.status === 200) return answer;
		if (answer) throw new CommandError(`generation ${generation} has no result: ${errorOf(answer.body)}`, exits.failed);
		// Another supervisor may respond now. It numbers its generations from 1 again.
		const now = await askStatusUntilAnswered(path, { signal });
		if (now.run !== run) {
			throw new CommandError(
				`generation ${generation} has no result: its supervisor has ended, and another one (pid ${now.pid}) has started`,
				exits.failed,
			);
		}
	}
}

/** Shows a progress line on a terminal. @returns a function that removes the line */
function showProgress(path: string, generation: number, out: ReturnType<typeof screen>): () => void {
	const began = performance.now();
	let state = 'starting';
	let isBusy = false;
	const over = new AbortController();
	const draw = () => out.live(`Generation ${generation}, ${duration(performance.now() - began)}: ${state}`);
	const look = async () => {
		if (isBusy) return;
		isBusy = true;
		state = await askStatus(path, { signal: over.signal })
			.then((status) => stateText(status, generation))
			.catch(() => 'nobody answers for now');
		isBusy = false;
		if (!over.signal.aborted) draw();
	};
	draw();
	const timer = setInterval(look, beat);
	return () => {
		clearInterval(timer);
		over.abort();
		out.clear();
	};
}

function stateText({ generations, queued, bake, check }: Status, generation: number): string {
	const own = generations.find((each) => each.generation === generation);
	if (!own) return queued ? 'waits for the generation before it' : 'is being started';
	const statusText = own.children.findLast(({ status }) => status !== null)?.status;
	const up = own.children.filter(({ phase }) => phase === 'serving').length;
	if (own.children.some(({ phase }) => phase === 'verifying')) return 'is ready, and not seen to accept yet';
	const serving = generations.find(({ state }) => state === 'serving')?.generation;
	if (own.state === 'checking' && check !== null)
		return `checking ${harmless(check.target)}${check.problem === null ? '' : `: ${harmless(check.problem)}`}${leftText(check.deadline)}`;
	if (own.state === 'baking' && bake !== null)
		return `bakes beside generation ${serving} for ${duration(Math.max(0, bake - Date.now()))} more`;
	const count = own.children.length > 1 ? ` (${up} of ${own.children.length} are up)` : '';
	return `${own.state}${count}${statusText ? `, "${harmless(statusText)}"` : ''}`;
}

function leftText(deadline: number | null): string {
	return deadline === null ? '' : `, ${duration(Math.max(0, deadline - Date.now()))} left`;
}

const readyTexts = {
	notify: 'READY=1',
	ack: 'its ack',
	accept: 'accepts',
	wait: 'stayed alive',
};

/** The verdict, and what becomes of the old generation. */
function servingLines(
	{ generation, supersededBy, pids, readyBy, replaced, unverified, ...times }: Rotation,
	out: ReturnType<typeof screen>,
): string[] {
	const took = times.spawnedAt !== null && times.finishedAt !== null ? times.finishedAt - times.spawnedAt : null;
	const name =
		supersededBy === null ? `Generation ${generation}` : `Generation ${supersededBy}, in the place of ${generation},`;
	const ready = `${took === null ? '' : ` ready in ${duration(took)}`}${readyBy === null ? '' : ` (${readyTexts[readyBy]})`}`;
	return [
		`${out.colour(`✔ ${name} serves`, 'green')}${ready === '' ? '' : `:${ready}`}, ${pids.length > 4 ? `${pids.length} workers` : `pid ${pids.join(', ')}`}`,
		...(unverified ? ['  It has not been seen to accept.'] : []),
		...(replaced.length === 0 ? [] : [`  ${generationsText(replaced)} draining.`]),
	];
}

function generationsText(numbers: number[]): string {
	return numbers.length === 1 ? `Generation ${numbers[0]} is` : `Generations ${numbers.join(', ')} are`;
}

/** The verdict and its reason, the generation that still serves, and the exits and the last output of the failed one. */
function failureText(rotation: Rotation, serving: Awaited<ReturnType<typeof servingNow>>): string {
	const { generation, result, reason, exits: ends, lastOutput, spawnedAt, finishedAt } = rotation;
	if (result === 'stopped') return `✘ Generation ${generation} did not come up: the supervisor was told to stop\n`;
	const after = spawnedAt === null || finishedAt === null ? '' : ` after ${duration(finishedAt - spawnedAt)}`;
	const lines = [
		`✘ Generation ${generation} failed${after}: ${harmless(reason ?? 'its reason is not known')}`,
		`  ${serving.text}.`,
		...originLines(rotation, serving.origin),
	];
	if (ends.length > 1) for (const end of ends.slice(-20)) lines.push(`  ${endText(end)}`);
	if (lastOutput.length > 0) lines.push('Last output:', ...lastOutput.map((line) => `  | ${harmless(line)}`));
	return `${lines.join('\n')}\n`;
}

function endText({ pid, code, signal }: Rotation['exits'][number]): string {
	if (signal !== null) return `${pid} signal: ${signal}`;
	return `${pid} exit status ${code ?? 'unknown'}`;
}

/** Describes which generation serves after a failed rotation, and what it was started from. */
async function servingNow(path: string): Promise<{ text: string; origin: Origin | null }> {
	try {
		const { generations } = await askStatus(path, { limit: 1000 }, '/status');
		const serving = generations.find(({ state, children }) => state === 'serving' && isServing(children));
		if (!serving) return { text: 'No generation serves', origin: null };
		const text = serving.children.every(({ unseen }) => unseen !== null)
			? `Generation ${serving.generation} lives on, and was not seen to accept either`
			: `Generation ${serving.generation} keeps serving`;
		return { text, origin: serving };
	} catch {
		return { text: 'The supervisor does not answer any more', origin: null };
	}
}
