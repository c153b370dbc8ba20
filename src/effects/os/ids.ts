/** What tells one run of a machine and of a supervisor from another. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Changes with every boot. Empty where there is no /proc: then nothing is ever recovered. */
export function bootId(): string {
	try {
		return readFileSync('/proc/sys/kernel/random/boot_id', 'ascii').trim();
	} catch {
		return '';
	}
}

/** A name for a supervisor and its successors; the kernel's uuid spares loading a crypto library. */
export function newRun(): string {
	try {
		return readFileSync('/proc/sys/kernel/random/uuid', 'ascii').trim();
	} catch {
		const { randomUUID } = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto');
		return randomUUID();
	}
}

/** A word of 16 characters that nobody can guess. Many are read at a time: a spawn is no place to wait for a file. */
export function newSecret(): string {
	if (secrets.length === 0) {
		const bytes = Buffer.alloc(8 * 64);
		const fd = openSync('/dev/urandom', 'r');
		readSync(fd, bytes);
		closeSync(fd);
		const text = bytes.toString('hex');
		for (let at = 0; at < text.length; at += 16) secrets.push(text.slice(at, at + 16));
	}
	return secrets.pop() ?? newRun();
}

const secrets: string[] = [];
