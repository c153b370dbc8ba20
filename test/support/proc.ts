/** What the kernel alone knows of a process, and can only be asked. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Awaits what nobody tells of. */
export async function until(what: string, condition: () => boolean): Promise<void> {
	for (let tries = 0; tries < 2000; tries += 1) {
		if (condition()) return;
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	throw new Error(`${what} did not come true in 20 s`);
}

/** The numbers of its fds. */
export const fdsOf = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`).sort();

/** What its fds are, without the numbers that tell one pipe from another. */
export const filesOf = (pid: number): string[] =>
	readdirSync(`/proc/${pid}/fd`)
		.map((fd) => {
			try {
				return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/g, '');
			} catch {
				return 'gone';
			}
		})
		.sort();

/** The same while no look of its own at /proc is under way: such a look opens a file there for a moment. */
export async function filesAtRest(pid: number): Promise<string[]> {
	let files: string[] = [];
	await until(`${pid} looks at nothing in /proc`, () => {
		files = filesOf(pid);
		return !files.some((file) => file === 'gone' || file.startsWith('/proc/'));
	});
	return files;
}

/** The pids of its children. */
export const childrenOf = (pid: number): number[] =>
	readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Resident memory in KiB. */
export const memoryOf = (pid: number): number =>
	Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1]);

export const untilBlocked = (pid: number) =>
	until(`${pid} blocked in write(2)`, () => readFileSync(`/proc/${pid}/wchan`, 'utf8').includes('pipe_write'));

export const untilChildren = (pid: number, count: number) =>
	until(`${count} children`, () => childrenOf(pid).length >= count);
