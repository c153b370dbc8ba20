import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAck } from '../../../src/effects/children/ack.ts';

describe('an ack', () => {
	it.each([
		['{"command":"worker:ack","pid":123}\n', 123],
		['{"pid":123,"command":"worker:ack","extra":true}', 123],
		['---%0Acommand: worker:ack%0Apid: 123%0A\n', 123],
		['--- %0A:command: worker:ack%0A:pid: 123%0A', 123],
		['---%0A"command": "worker:ack"%0A"pid": 123%0A', 123],
		["---%0Apid: 123%0Acommand: 'worker:ack'%0A", 123],
		['---%0Acommand: worker:ack%0Apid: 123%0Atag: 100%25%0A', 123],
		['{"command":"worker:ack","pid":123}\n\0', 123],
		['---%0Acommand: worker:ack%0Apid: 123%0A\0', 123],
		['{"command":"worker:ack","pid":123}\0\0', null],
		['{"command":"worker:ack"}', null],
		['{"command":"worker:ack","pid":"123"}', null],
		['{"command":"worker:ack","pid":1e99}', null],
		['{"command":"state","pid":123}', null],
		['---%0Acommand: worker:acknowledge%0Apid: 123%0A', null],
		['[]', null],
		['null', null],
		['', null],
	])('%j is of %s', (line, pid) => {
		expect(readAck(line)).toBe(pid);
	});

	it('of any bytes is a number or nothing', () => {
		fc.assert(
			fc.property(fc.string({ unit: 'binary' }), (text) => {
				const pid = readAck(text);
				expect(pid === null || Number.isSafeInteger(pid)).toBe(true);
			}),
		);
	});
});
