/** What a running supervisor says of itself beside its facts: connections, STATUS= texts, and earlier rotations. */
import { effect, signal } from '@preact/signals';
import type { Report } from '../machines/facts/feed.ts';
import { isLive, total } from './store.ts';

export const report = signal<Report | null>(null);

/** The shortest time between two requests, in milliseconds. */
const pause = 2000;

let isWanted = true;
let isAsking = false;

/** Asks when facts come, and while a supervisor that lives is shown. A journal has no supervisor to ask: it is asked once. */
export function followReport(): void {
	effect(() => {
		total.value;
		if (isLive.value) void ask();
	});
	setInterval(() => isLive.value && !document.hidden && void ask(), pause);
}

async function ask() {
	if (!isWanted || isAsking) return;
	isAsking = true;
	try {
		const response = await fetch('report');
		if (response.status === 204) isWanted = false;
		else if (response.ok) report.value = await response.json();
	} catch {
		// The page says by itself that the connection is lost.
	}
	setTimeout(() => {
		isAsking = false;
	}, pause / 2);
}
