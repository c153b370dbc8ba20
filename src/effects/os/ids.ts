/** Identifiers of boots and runs, and secrets. */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Changes with every boot. Empty without /proc; the supervisor then recovers nothing. */
export function bootId(): string {
	try {
		return readFileSync('/proc/sys/kernel/random/boot_id', 'ascii').trim();
	} catch {
		return '';
	}
}

/** The identifier of a run: a supervisor and its successors. The kernel's uuid avoids loading a crypto library. */
export function newRun(): string {
	try {
		return readFileSync('/proc/sys/kernel/random/uuid', 'ascii').trim();
	} catch {
		return randomUUID();
	}
}

/** 16 unpredictable hexadecimal characters. One read provides 64 secrets, so that most spawns read no file. */
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
