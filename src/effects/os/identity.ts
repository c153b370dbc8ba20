/** What tells one run of a machine and of a supervisor from another. */
import { readFileSync } from 'node:fs';
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
