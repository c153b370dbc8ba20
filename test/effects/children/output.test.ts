import { closeSync, writeSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { outputsOf } from '../../../src/effects/children/output.ts';
import { longestLine } from '../../../src/effects/children/outputLines.ts';
import type { Sink } from '../../../src/effects/log/sink.ts';
import { makePipe } from '../../../src/effects/os/descriptors.ts';
import { newHandoverState } from '../../../src/effects/upgrade/handoverState.ts';

describe('an output', () => {
	function open(sink: Pick<Sink, 'isStalled' | 'onReady'>, unfinished = '') {
		const [read, write] = makePipe();
		const lines: string[] = [];
		let updated = () => {};
		const handoverState = newHandoverState(null);
		const log = {
			child: () => (text: string) => {
				lines.push(...text.split('\n'));
				updated();
			},
		};
		const lastOutput = { begin: () => {}, add: () => {} };
		const outputs = outputsOf({ sink, log, handoverState, lastOutput, longestLine });
		const output = outputs.open({ fd: read, child: 1, pid: 1, generation: 1, unfinished });
		onTestFinished(() => {
			try {
				closeSync(write);
			} catch {
				// The test closed it.
			}
		});
		const until = (count: number) =>
			new Promise<void>((resolve) => {
				updated = () => lines.length >= count && resolve();
				updated();
			});
		return { write, lines, until, output, outputs, handoverState };
	}
	const never = { isStalled: () => false, onReady: () => {} };

	it('passes whole lines on, and keeps the beginning of the next', async () => {
		const { write, lines, until, outputs, handoverState } = open(never, 'be');
		writeSync(write, 'gun\nsec');
		await until(1);
		expect(lines).toEqual(['begun']);
		outputs.hold();
		expect(handoverState.collect().states.outputs).toMatchObject([
			{ unfinished: 'sec', child: 1, pid: 1, generation: 1 },
		]);
		outputs.resume();
		writeSync(write, 'ond\n');
		await until(2);
		expect(lines).toEqual(['begun', 'second']);
	});

	it('ends the last line with its writer', async () => {
		const { write, lines, until } = open(never);
		writeSync(write, 'no end');
		closeSync(write);
		await until(1);
		expect(lines).toEqual(['no end']);
	});

	it('is read to the last byte when it is finished, without waiting', () => {
		const { write, lines, output } = open(never);
		writeSync(write, 'one\ntwo\nthree');
		output.finish(false);
		expect(lines).toEqual(['one', 'two', 'three']);
	});

	it('is not read while the sink is stalled', async () => {
		let isStalled = true;
		let ready = () => {};
		const { write, lines, until } = open({
			isStalled: () => isStalled,
			onReady: (listener) => {
				ready = listener;
			},
		});
		writeSync(write, 'one\n');
		await until(1);
		writeSync(write, 'two\n');
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		expect(lines).toEqual(['one']);
		isStalled = false;
		ready();
		await until(2);
	});

	it('that is held stays so when a stall ends', async () => {
		let ready = () => {};
		const { write, lines, until, outputs } = open({
			isStalled: () => false,
			onReady: (listener) => {
				ready = listener;
			},
		});
		outputs.hold();
		ready();
		writeSync(write, 'one\n');
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		expect(lines).toEqual([]);
		outputs.resume();
		await until(1);
		expect(lines).toEqual(['one']);
	});
});
