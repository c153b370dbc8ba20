import { expect, it } from 'vitest';
import { survivorSearch } from '../../../src/effects/children/survivorSearch.ts';
import { lookUp } from '../../../src/effects/os/proc.ts';

const began = lookUp(process.pid)?.startTime ?? 0;
const gone = { child: 1, pid: 100, isOwn: true, its: new Map<number, number>(), wasKilled: false, group: null };
const known = (child: number) => ({ startTime: child * 10 });

it('a search knows the leader and the start times of the other children', () => {
	const others = [{ ...gone, child: 2, pid: 200 }];
	expect(survivorSearch(gone, { others, pending: [300], known })).toEqual({
		leader: { child: 1, pid: 100, startTime: 10 },
		search: {
			its: new Map(),
			others: new Set([300, 200]),
			othersBegan: [20],
			wasKilled: false,
			hasOurOrphans: true,
		},
	});
});

it('a child that is gone has no start time', () => {
	const others = [{ ...gone, child: 2, pid: 200 }];
	const { leader, search } = survivorSearch(gone, { others, pending: [], known: () => null });
	expect([leader.startTime, search.othersBegan]).toEqual([null, []]);
});

it('surviving processes that are known already belong to the child', () => {
	const its = new Map([[5, 6]]);
	const group = new Map([[process.pid, 9]]);
	const { search } = survivorSearch({ ...gone, its, group }, { others: [], pending: [], known });
	expect(search.its).toEqual(
		new Map([
			[5, 6],
			[process.pid, began],
		]),
	);
});

it('of another child whose leader has exited, the surviving processes are its own, not the leader’s pid', () => {
	const others = [{ ...gone, child: 2, pid: 200, group: new Map([[201, 9]]) }];
	expect(survivorSearch(gone, { others, pending: [], known }).search.others).toEqual(new Set([201]));
});

it('a recorded process of another child counts only while its pid is not reused', () => {
	const other = (startTime: number) => [{ ...gone, child: 2, pid: 200, its: new Map([[process.pid, startTime]]) }];
	const pids = (startTime: number) =>
		survivorSearch(gone, { others: other(startTime), pending: [], known }).search.others;
	expect(pids(began)).toEqual(new Set([200, process.pid]));
	expect(pids(began + 1)).toEqual(new Set([200]));
});
