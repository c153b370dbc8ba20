/** The way of a line from the log to the sink. */
import { describe, expect, it } from 'vitest';
import { jsonLog, textLog } from '../../../src/effects/log/log.ts';
import { type Loss, openSink } from '../../../src/effects/log/sink.ts';
import type { Fact } from '../../../src/machines/facts/facts.ts';
import { endOf } from '../../../src/machines/simulation/nextEvents.ts';
import { logFieldsOf } from '../../../src/machines/text/logFields.ts';
import { childState, stateWith } from '../../support/simulation.ts';

/** A sink whose writer is done when the test says so. */
function heldSink(stallAt = 10) {
	const written: string[] = [];
	const pending: ((lost?: Loss) => void)[] = [];
	const sink = openSink((text, done) => {
		written.push(text);
		pending.push(done);
	}, stallAt);
	return { sink, written, release: (lost?: Loss) => pending.shift()?.(lost) };
}

function memorySink() {
	let text = '';
	const sink = openSink((more, done) => {
		text += more;
		done();
	}, 1000);
	return { sink, text: () => text };
}

describe('a sink', () => {
	it('writes one text at a time, and what came meanwhile in one piece', () => {
		const { sink, written, release } = heldSink();
		for (const text of ['a\n', 'b\n', 'c\n']) sink.write(text);
		expect(written).toEqual(['a\n']);
		release();
		expect(written).toEqual(['a\n', 'b\nc\n']);
	});

	it('says when it holds too much, and when that is over', () => {
		const { sink, release } = heldSink();
		let ready = 0;
		sink.onReady(() => {
			ready += 1;
		});
		sink.write('0123456789');
		expect(sink.isStalled()).toBe(false);
		sink.write('!');
		expect(sink.isStalled()).toBe(true);
		release();
		expect({ stalled: sink.isStalled(), ready }).toEqual({ stalled: false, ready: 1 });
	});

	it('drops what is more than 16 MiB, and tells how many lines that were when it is taken again', () => {
		const { sink, release } = heldSink();
		const dropped: number[] = [];
		sink.onDropped((lines) => dropped.push(lines));
		sink.write('first\n');
		for (let count = 0; count < 16; count += 1) sink.write(`${'x'.repeat(1024 * 1024)}\n`);
		sink.write('lost\nlost too\n');
		expect(dropped).toEqual([]);
		release();
		release();
		expect(dropped).toEqual([2]);
		expect(sink.counts()).toMatchObject({ lines: 17, lost: { lines: 2, bytes: 14 } });
	});

	it('tells how many lines a writer had lost when one is taken again', () => {
		const { sink, release } = heldSink();
		const dropped: number[] = [];
		sink.onDropped((lines) => dropped.push(lines));
		sink.write('lost\n');
		release({ lines: 1, bytes: 5 });
		expect(dropped).toEqual([]);
		sink.write('taken\n');
		release();
		expect(dropped).toEqual([1]);
		expect(sink.counts()).toEqual({ lines: 2, bytes: 11, lost: { lines: 1, bytes: 5 } });
	});

	it('is flushed when all is written, or when patience ends', async () => {
		const { sink, release } = heldSink();
		expect(await sink.flush(1000)).toBe(true);
		sink.write('a\n');
		expect(await sink.flush(1)).toBe(false);
		const flushed = sink.flush(60_000);
		release();
		expect(await flushed).toBe(true);
	});
});

describe('a log', () => {
	it('as text has the prefix, the time, and the pid of a child before each line', () => {
		const { sink, text } = memorySink();
		const log = textLog(sink, 'stamp');
		log.say('info', 'hello');
		log.child(7, 1)('one\ntwo');
		const stamp = `socketmaster\\[${process.pid}\\] \\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d `;
		expect(text()).toMatch(new RegExp(`^${stamp}hello\n${stamp}\\[7\\] one\n${stamp}\\[7\\] two\n$`));
	});

	it('for syslog has no stamp of its own', () => {
		const { sink, text } = memorySink();
		textLog(sink, 'none').child(7, 1)('one\n\ntwo');
		expect(text()).toBe('[7] one\n[7] \n[7] two\n');
		expect(sink.counts()).toMatchObject({ lines: 3, bytes: 21 });
	});

	it('for systemd’s journal has a level before each line, and no stamp', () => {
		const { sink, text } = memorySink();
		const log = textLog(sink, 'level');
		log.child(7, 1)('one\ntwo');
		log.say('warn', 'careful');
		log.say('error', 'bad');
		expect(text()).toBe('<6>[7] one\n<6>[7] two\n<4>careful\n<3>bad\n');
	});

	it('as JSON has one object a line, with levels', () => {
		const { sink, text } = memorySink();
		const log = jsonLog(sink);
		log.say('warn', 'careful');
		log.child(7, 3)(Buffer.from('grün').toString('latin1'));
		const lines = Buffer.from(text(), 'latin1')
			.toString('utf8')
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
		expect(lines).toMatchObject([
			{ level: 40, pid: process.pid, msg: 'careful' },
			{ level: 30, pid: process.pid, child: 7, generation: 3, msg: 'grün' },
		]);
	});
});

describe('what comes from outside', () => {
	it('makes no line of its own in the supervisor’s', () => {
		const { sink, text } = memorySink();
		textLog(sink, 'none').say('info', 'Starting /bin/a\n[1] forged\r\u001b[2J\u2028 \tü');
		expect(Buffer.from(text(), 'latin1').toString()).toBe('Starting /bin/a\\n[1] forged\\x0d\\x1b[2J\\x2028 \tü\n');
	});
});

describe('a line about an event', () => {
	const failed: Fact = {
		type: 'generation.failed',
		seq: 9,
		at: 0,
		generation: 2,
		serving: 1,
		reason: '102 exit status 3',
	};

	it('as JSON has its type, its generation, its reason and its result', () => {
		const lines: string[] = [];
		jsonLog({ write: (line) => lines.push(line) }).say('error', 'Generation 2 failed', logFieldsOf(failed, null));
		expect(JSON.parse(lines[0] ?? '')).toMatchObject({
			level: 50,
			event: 'generation.failed',
			generation: 2,
			reason: '102 exit status 3',
			result: 'failed',
			msg: 'Generation 2 failed',
		});
	});

	it('as JSON has the pid and the generation of the child that it is about', () => {
		const state = stateWith({ children: [childState({ child: 1, pid: 101, generation: 1 })] });
		const exited: Fact = { seq: 9, at: 0, ...endOf({ child: 1, pid: 101 }, { code: 3 }) } as Fact;
		expect(logFieldsOf(exited, state)).toEqual({ event: 'child.exited', generation: 1, child: 101 });
	});

	it('is bold on a terminal if it is a verdict, and the lines of children are faint', () => {
		const { sink, text } = memorySink();
		const log = textLog(sink, 'none', 'prefix', true);
		log.say('error', 'Generation 2 failed', logFieldsOf(failed, null));
		log.say('info', 'Listening');
		log.child(101, 1)('one\ntwo');
		expect(text().replaceAll('\u001b', 'ESC')).toBe(
			'ESC[1mGeneration 2 failedESC[0m\nListening\nESC[2m[101] oneESC[0m\nESC[2m[101] twoESC[0m\n',
		);
	});
});
