/** Memory of other processes. */
import { closeSync, openSync, read } from 'node:fs';
import { inTime, type Late, look } from './boundedReads.ts';
import { isDenial } from './proc.ts';

/**
 * Bytes of a process's memory (/proc/PID/mem).
 * @returns `denied` where it may not be read, null where it is not there
 */
export function readMemory(pid: number, address: number, length: number): Promise<Buffer | 'denied' | Late | null> {
	return inTime(String(pid), look, () => readNow(pid, address, length));
}

function readNow(pid: number, address: number, length: number): Promise<Buffer | 'denied' | null> {
	return new Promise((resolve) => {
		const fail = (error: unknown) => resolve(isDenial(error) ? 'denied' : null);
		let fd: number;
		try {
			fd = openSync(`/proc/${pid}/mem`, 'r');
		} catch (error) {
			return fail(error);
		}
		read(fd, Buffer.alloc(length), 0, length, address, (error, count, bytes) => {
			closeSync(fd);
			if (error) fail(error);
			else resolve(count < length ? null : bytes);
		});
	});
}
