/** The menu of what the page can hand over: as a file, or to the Stately Inspector. */
import { useRef } from 'preact/hooks';
import { journalOf, linesOf, pictureOf, receiptsOf, testOf } from './exports.ts';
import { branch, index, timeline } from './store.ts';

declare const SOCKETMASTER_VERSION: string;

export function ExportMenu() {
	const menu = useRef<HTMLDetailsElement>(null);
	const question = useRef<HTMLDialogElement>(null);
	const item = (text: string, act: () => void) => (
		<button
			type="button"
			onClick={() => {
				menu.current?.removeAttribute('open');
				act();
			}}
		>
			{text}
		</button>
	);
	const name = branch.value ? 'what-if' : 'socketmaster';
	const hasEvents = timeline().entries.length > 0;
	return (
		<>
			<details
				class="menu"
				ref={menu}
				onKeyDown={(event) => {
					if (event.key === 'Escape') menu.current?.removeAttribute('open');
				}}
			>
				<summary>Export ▾</summary>
				{hasEvents && (
					<div class="menu-items">
						{item('Journal', () =>
							save(
								`${name}.journal`,
								branch.value
									? journalOf(branch.value, SOCKETMASTER_VERSION)
									: linesOf(timeline(), SOCKETMASTER_VERSION),
							),
						)}
						{branch.value && item('Unit test', () => branch.value && save('what-if.test.ts', testOf(branch.value)))}
						{item('Receipts of the rotations (JSON)', () => save(`${name}.rotations.json`, receiptsOf(timeline())))}
						{item('Picture of the timeline (SVG)', () => save(`${name}.svg`, pictureOf(document), 'image/svg+xml'))}
						{item('Stately Inspector …', () => question.current?.showModal())}
					</div>
				)}
			</details>
			<dialog ref={question} aria-labelledby="stately-title">
				<h2 id="stately-title">Send this session to stately.ai?</h2>
				<p>
					The last 400 events up to this moment leave this machine: their times, pids, statuses and reasons. The last
					output of the children, and the paths of the programs, are left out.
				</p>
				<p class="answers">
					<button type="button" onClick={() => question.current?.close()}>
						Cancel
					</button>
					<button
						type="button"
						class="main"
						onClick={async () => {
							question.current?.close();
							const { handToStately } = await import('./stately.ts');
							handToStately(timeline(), index.value);
						}}
					>
						Send
					</button>
				</p>
			</dialog>
		</>
	);
}

function save(name: string, text: string, type = 'text/plain') {
	const url = URL.createObjectURL(new Blob([text], { type }));
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}
