/**
 * What children report besides that they are ready (sd_notify(3)). It is shown in the status and not passed on to the
 * service manager.
 */
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

/** The reports of the running children. @param kept the reports that an earlier supervisor program received */
export function childStatuses(kept: (ChildStatusText & { child: number })[]) {
	const statuses = new Map<number, ChildStatusText>(kept.map(({ child, ...own }) => [child, own]));
	const of = (child: number) => statuses.get(child) ?? none;
	return {
		of,
		/** The fields that the lines of a message change; null if they change none. */
		changeBy: (child: number, lines: string[]): Partial<ChildStatusText> | null => {
			const known = of(child);
			const changes = Object.entries(readStatus(lines)).filter(
				([name, value]) => value !== known[name as keyof ChildStatusText],
			);
			return changes.length > 0 ? Object.fromEntries(changes) : null;
		},
		take: (child: number, change: Partial<ChildStatusText>) => statuses.set(child, { ...of(child), ...change }),
		forget: (child: number) => statuses.delete(child),
		all: () => [...statuses].map(([child, own]) => ({ child, ...own })),
	};
}

function readStatus(lines: string[]): Partial<ChildStatusText> {
	const fields: Partial<ChildStatusText> = {};
	for (const line of lines) {
		const [, name, value = ''] = /^([A-Z]+)=(.*)$/s.exec(line) ?? [];
		if (name === 'STATUS') fields.status = value === '' ? null : value.slice(0, longestStatus);
		if (name === 'STOPPING' && value === '1') fields.stopping = true;
		if (name === 'MAINPID' && /^\d{1,10}$/.test(value)) fields.mainPid = Number(value);
		if (name === 'WATCHDOG' && value === '1') fields.watchdog = true;
	}
	return fields;
}
