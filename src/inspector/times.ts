/** Times as people read them, in the clock of the reader. */

const clock = new Intl.DateTimeFormat(undefined, {
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	fractionalSecondDigits: 3,
	hour12: false,
});

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** `20:16:55.123` */
export function clockTime(at: number): string {
	return clock.format(at);
}

/** `24 Nov 2026` */
export function date(at: number): string {
	return day.format(at);
}

/** `250 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min` */
export function duration(millis: number): string {
	if (millis < 1000) return `${Math.round(millis)} ms`;
	if (millis < 9950) return `${(millis / 1000).toFixed(1)} s`;
	const seconds = Math.round(millis / 1000);
	if (seconds < 60) return `${seconds} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
	return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
