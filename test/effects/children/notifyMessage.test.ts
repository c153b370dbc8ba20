import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { movedDeadline, readNotifyMessage } from '../../../src/effects/children/notifyMessage.ts';

describe('a message', () => {
	it('is read as lines', () => {
		expect(readNotifyMessage('READY=1\nSTATUS=serving')).toEqual({
			lines: ['READY=1', 'STATUS=serving'],
			isReady: true,
			delayMs: null,
		});
	});

	it.each([
		['READY=1\0', true],
		['STATUS=x\nREADY=1\n', true],
		['READY=0', false],
		['READY=10', false],
		['XREADY=1', false],
		[' READY=1', false],
		['', false],
	])('%j makes its child ready: %s', (text, isReady) => {
		expect(readNotifyMessage(text)?.isReady).toBe(isReady);
	});

	it.each(['\0READY=1', 'READY=1\0\0', 'READY=1\0STATUS=x', 'READY=1\nSTATUS=\0x', 'READY=1\0\n'])(
		'with a NUL inside (%j) is ignored',
		(text) => {
			expect(readNotifyMessage(text)).toBeNull();
		},
	);

	it.each([
		['EXTEND_TIMEOUT_USEC=5000000', 5000],
		['EXTEND_TIMEOUT_USEC=1999', 1],
		['EXTEND_TIMEOUT_USEC=0', 0],
		['EXTEND_TIMEOUT_USEC=1000\nEXTEND_TIMEOUT_USEC=2000', 1],
		['EXTEND_TIMEOUT_USEC=1000=2000', 1],
		[`EXTEND_TIMEOUT_USEC=${'9'.repeat(400)}`, Number.MAX_SAFE_INTEGER],
		['EXTEND_TIMEOUT_USEC=', null],
		['EXTEND_TIMEOUT_USEC=-1', null],
		['EXTEND_TIMEOUT_USEC=1e6', null],
		['EXTEND_TIMEOUT_USEC=1.5', null],
		['EXTEND_TIMEOUT_USEC=10 ', null],
		['READY=1', null],
	])('%j asks for %s ms', (text, delayMs) => {
		expect(readNotifyMessage(text)?.delayMs).toBe(delayMs);
	});

	it('with any value asks for a whole number of milliseconds, or for none', () => {
		fc.assert(
			fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.e-=\n\0') }), (text) => {
				const delayMs = readNotifyMessage(`EXTEND_TIMEOUT_USEC=${text}`)?.delayMs ?? null;
				expect(delayMs === null || (Number.isSafeInteger(delayMs) && delayMs >= 0)).toBe(true);
			}),
		);
	});
});

describe('a request for more time', () => {
	it('sets a deadline from now', () => {
		expect(movedDeadline(0, 10_000, 50_000)).toBe(60_000);
	});

	it.each([
		[400, 60_100],
		[10_000, 60_250],
	])('of %s ms counts only if it moves the deadline to %s or later', (delayMs, leastDeadline) => {
		expect(movedDeadline(60_000, delayMs, leastDeadline - delayMs)).toBe(leastDeadline);
		expect(movedDeadline(60_000, delayMs, leastDeadline - delayMs - 1)).toBeNull();
	});

	it('of less than 100 ms is ignored', () => {
		expect(movedDeadline(0, 99, 50_000)).toBeNull();
		expect(movedDeadline(0, 100, 50_000)).toBe(50_100);
	});

	it('does not move the deadline back', () => {
		expect(movedDeadline(60_000, 1000, 50_000)).toBeNull();
	});
});
