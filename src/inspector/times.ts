/** Formats times in the browser's locale and time zone. */

const clock = new Intl.DateTimeFormat(undefined, {
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const year = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** `20:16:55` */
export function clockTime(at: number): string {
	return clock.format(at);
}

/** `20:16:55.123` */
export function exactTime(at: number): string {
	return `${clock.format(at)}.${String(Math.floor(at) % 1000).padStart(3, '0')}`;
}

/** `24 Nov` */
export function shortDate(at: number): string {
	return day.format(at);
}

/** `24 Nov 2026` */
export function date(at: number): string {
	return year.format(at);
}

/** The time, with the date in front of it if that is not the date of `now`. */
export function timeBeside(at: number, now: number): string {
	return date(at) === date(now) ? clockTime(at) : `${shortDate(at)} ${clockTime(at)}`;
}
