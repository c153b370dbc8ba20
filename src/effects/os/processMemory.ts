/** Reads the memory of other processes. */
import { closeSync, openSync, read } from 'node:fs';
import { asOwner } from './asOwner.ts';
import { inTime, type Late, look } from './boundedReads.ts';
import { isDenial } from './proc.ts';

/**
 * Reads bytes from /proc/PID/mem.
 * @returns `denied` if access is denied; null if the process is gone or the address is unmapped
 */
export function readMemory(pid: number, address: number, length: number): Promise<Buffer | 'denied' | Late | null> {
	return inTime(String(pid), look, () => readNow(pid, address, length));
}

function readNow(pid: number, address: number, length: number): Promise<Buffer | 'denied' | null> {
	return new Promise((resolve) => {
		const fail = (error: unknown) => resolve(isDenial(error) ? 'denied' : null);
		let fd: number;
		try {
			fd = asOwner(() => openSync(`/proc/${pid}/mem`, 'r'));
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
