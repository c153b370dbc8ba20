/** What children say of themselves besides that they are up (sd_notify(3)): noted, shown in the status, and passed on to nobody. */
import { array, boolean, nullable, number, object, optional, string } from 'valibot';

export interface ChildStatusText {
	/** STATUS= */
	status: string | null;
	/** STOPPING=1 */
	stopping: boolean;
	/** MAINPID= */
	mainPid: number | null;
	/** WATCHDOG=1 */
	watchdog: boolean;
}

const none: ChildStatusText = { status: null, stopping: false, mainPid: null, watchdog: false };

const longestStatus = 1024;

export const statusesSchema = () =>
	optional(
		array(
			object({
				child: number(),
				status: nullable(string()),
				stopping: boolean(),
				mainPid: nullable(number()),
				watchdog: boolean(),
			}),
		),
		[],
	);

/** The notes of the children that live. @param kept what an earlier program has left */
export function childStatuses(kept: (ChildStatusText & { child: number })[]) {
	const notes = new Map<number, ChildStatusText>(kept.map(({ child, ...own }) => [child, own]));
	const of = (child: number) => notes.get(child) ?? none;
	return {
		of,
		/** What the lines of a message change; null where they say nothing new. */
		changeBy: (child: number, lines: string[]): Partial<ChildStatusText> | null => {
			const known = of(child);
			const changes = Object.entries(readNotes(lines)).filter(
				([name, value]) => value !== known[name as keyof ChildStatusText],
			);
			return changes.length > 0 ? Object.fromEntries(changes) : null;
		},
		take: (child: number, change: Partial<ChildStatusText>) => notes.set(child, { ...of(child), ...change }),
		forget: (child: number) => notes.delete(child),
		all: () => [...notes].map(([child, own]) => ({ child, ...own })),
	};
}

function readNotes(lines: string[]): Partial<ChildStatusText> {
	const notes: Partial<ChildStatusText> = {};
	for (const line of lines) {
		const [, name, value = ''] = /^([A-Z]+)=(.*)$/s.exec(line) ?? [];
		if (name === 'STATUS') notes.status = value === '' ? null : value.slice(0, longestStatus);
		if (name === 'STOPPING' && value === '1') notes.stopping = true;
		if (name === 'MAINPID' && /^\d{1,10}$/.test(value)) notes.mainPid = Number(value);
		if (name === 'WATCHDOG' && value === '1') notes.watchdog = true;
	}
	return notes;
}
