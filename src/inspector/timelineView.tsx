/** The timeline: a bar for each child, a band for each rotation, and the supervisor above them. */
import { index, isFollowing, timeline, timeShown, total, zoomed } from './store.ts';
import { TimelineDrawing } from './timelineDrawing.tsx';
import { TimelineHead } from './timelineHead.tsx';
import { fittingSpan, movedTo, type TimeSpan } from './timeSpan.ts';

export function Timeline() {
	const now = timeShown();
	total.value;
	const span = zoomed.value ? zoomedSpan(zoomed.value, now) : wholeSpan(now);
	return (
		<section class="timeline" aria-labelledby="timeline-title">
			<TimelineHead span={span} now={now} />
			<TimelineDrawing span={span} now={now} />
		</section>
	);
}

function wholeSpan(now: number): TimeSpan {
	const shown = timeline();
	return fittingSpan({
		generations: shown.lives.generations,
		selected: isFollowing.value ? null : index.value,
		now,
		firstAt: shown.timeAt(0),
		lastAt: shown.timeAt(shown.entries.length - 1),
	});
}

/** The zoomed span, moved with the time shown if it is followed. */
function zoomedSpan(zoom: NonNullable<typeof zoomed.value>, now: number): TimeSpan {
	return zoom.isFollowed && isFollowing.value ? movedTo(now, zoom) : zoom;
}
