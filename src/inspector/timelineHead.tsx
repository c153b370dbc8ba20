/** The head of the timeline: the span that it shows, and the buttons that change it. */
import { duration } from '../machines/text/duration.ts';
import { zoomed } from './store.ts';
import { pannedBy, type TimeSpan, zoomedBy } from './timeSpan.ts';
import { clockTime } from './times.ts';

export function TimelineHead({ span, now }: { span: TimeSpan; now: number }) {
	const look = ({ from, to }: TimeSpan) => {
		zoomed.value = { from, to, isFollowed: from <= now && now <= to };
	};
	return (
		<header>
			<h2 id="timeline-title">Timeline</h2>
			<span class="quiet">
				{clockTime(span.from)} to {clockTime(span.to)}, {duration(span.to - span.from)}
			</span>
			<span class="tools">
				<button type="button" aria-label="Earlier" onClick={() => look(pannedBy(-0.4, span))}>
					‹
				</button>
				<button type="button" aria-label="Later" onClick={() => look(pannedBy(0.4, span))}>
					›
				</button>
				<button type="button" aria-label="See a longer time" onClick={() => look(zoomedBy(1.6, span, now))}>
					−
				</button>
				<button type="button" aria-label="See a shorter time" onClick={() => look(zoomedBy(1 / 1.6, span, now))}>
					+
				</button>
				<button
					type="button"
					onClick={() => {
						zoomed.value = null;
					}}
				>
					Fit
				</button>
			</span>
		</header>
	);
}
