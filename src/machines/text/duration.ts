/**
 * A span of time as text: `850 ms`, `2.1 s`, `12 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. A second unit of 0 is
 * omitted.
 * @param millis milliseconds
 */
export function duration(millis: number): string {
	const span = Math.max(0, millis);
	if (span < 999.5) return `${Math.round(span)} ms`;
	if (span < 9950) return `${(span / 1000).toFixed(1)} s`;
	const seconds = Math.round(span / 1000);
	if (seconds < 60) return `${seconds} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return withRest(minutes, 'min', seconds % 60, 's');
	const hours = Math.floor(minutes / 60);
	if (hours < 24) return withRest(hours, 'h', minutes % 60, 'min');
	return withRest(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function withRest(count: number, unit: string, rest: number, unitOfRest: string): string {
	return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${rest} ${unitOfRest}`;
}
