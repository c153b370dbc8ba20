/** Formats times in the browser's locale and time zone. */

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
