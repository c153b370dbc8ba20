import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAckLine } from '../../../src/effects/children/ack.ts';

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
		expect(readAckLine(line)).toEqual(pid === null ? null : { kind: 'ack', pid });
	});

	it('of any bytes is a number or nothing', () => {
		fc.assert(
			fc.property(fc.string({ unit: 'binary' }), (text) => {
				const line = readAckLine(text);
				expect(line === null || (line.kind === 'ack' && Number.isSafeInteger(line.pid))).toBe(true);
			}),
		);
	});
});

it.each([
	['{"command":"socketmaster:notify","child":3,"message":"READY=1\\nSTATUS=up"}\n', 3, 'READY=1\nSTATUS=up'],
	['{"command":"socketmaster:notify","child":3,"message":"50%25"}\n\0', 3, '50%25'],
])('%j is a message of child %d', (line, child, text) => {
	expect(readAckLine(line)).toEqual({ kind: 'message', child, text });
});

it.each([
	'{"command":"socketmaster:notify","child":"3","message":"READY=1"}',
	'{"command":"socketmaster:notify","child":3}',
	'command: socketmaster:notify',
])('%j is no message', (line) => {
	expect(readAckLine(line)).toBeNull();
});
