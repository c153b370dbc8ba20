/** The kernel's texts about epoll and io_uring instances are read as proc(5) and the kernel's sources give them. */
import { describe, expect, it } from 'vitest';
import { epollsIn, polledBy, ringIn, withInner } from '../../../src/effects/os/fdinfo.ts';

const head = 'pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t26\n';
const entry = (fd: number, events: string, inode: number) =>
	`tfd: ${String(fd).padStart(8)} events: ${events.padStart(8)} data: ${String(fd).padStart(16)}  pos:0 ino:${inode.toString(16)} sdev:9\n`;

describe('an epoll instance', () => {
	it.each([
		['EPOLLIN', '19', true],
		['EPOLLIN, edge-triggered', '80000019', true],
		['EPOLLRDNORM', '58', true],
		['writing alone', '1c', false],
		['nothing, as after EPOLLONESHOT', '40000000', false],
	])('polls a listener that it watches for %s: %s: %s', (_, events, isPolled) => {
		expect(polledBy(head + entry(3, events, 628945), new Set([628945]))).toEqual(isPolled ? [628945] : []);
	});

	it('polls a listener if one of several entries watches it for reading', () => {
		expect(polledBy(head + entry(3, '1c', 7) + entry(4, '19', 7), new Set([7]))).toEqual([7]);
	});

	it('polls no listener whose inode only begins or ends like that of an entry', () => {
		const text = head + entry(3, '19', 0x1f40);
		expect(polledBy(text, new Set([0x1f4, 0xf40, 0x11f40]))).toEqual([]);
	});

	it('does not poll the inode of its own file', () => {
		expect(polledBy(head, new Set([0x26]))).toEqual([]);
	});

	it('contains the epoll instances among the fds that it watches', () => {
		const text = head + entry(4, '19', 1) + entry(5, '19', 1) + entry(6, '19', 1);
		expect(epollsIn(text, new Set(['4', '6', '9']))).toEqual([4, 6]);
	});

	it('contains no other instance if there is only one', () => {
		expect(epollsIn(head + entry(4, '19', 1), new Set(['4']))).toEqual([]);
	});

	it('is waited for with all instances nested in it, and a cycle ends', () => {
		const nested = new Map([
			[4, { polled: [], inner: [5] }],
			[5, { polled: [], inner: [6] }],
			[6, { polled: [], inner: [4] }],
			[7, { polled: [], inner: [8] }],
		]);
		expect([...withInner(new Set([4]), nested)]).toEqual([4, 5, 6]);
	});

	it('that is not known contains nothing', () => {
		expect([...withInner(new Set([9]), new Map())]).toEqual([9]);
	});
});

describe('an io_uring instance', () => {
	const ring = (files: number, operations: number[]) =>
		`${head}SqMask:\t0x7\nSqHead:\t2\nUserFiles:\t${files}\nUserBufs:\t0\nPollList:\n${operations.map((op) => `  op=${op}, task_works=0\n`).join('')}`;

	it('has the pending operations that its list names, accept as 13 and poll as 6', () => {
		expect(ringIn(ring(0, [13, 6, 13, 22, 113, 60]))).toEqual({ isShown: true, accepts: 2, polls: 1, hasFiles: false });
	});

	it('has registered files if their number is not 0', () => {
		expect(ringIn(ring(16, [])).hasFiles).toBe(true);
		expect(ringIn(ring(0, [])).hasFiles).toBe(false);
	});

	it('that is in use shows no list', () => {
		expect(ringIn(`${head}SqMask:\t0x7\n`)).toEqual({ isShown: false, accepts: 0, polls: 0, hasFiles: false });
	});
});
