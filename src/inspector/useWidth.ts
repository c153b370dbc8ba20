import { useEffect, useState } from 'preact/hooks';

/** The width of an element, in pixels. */
export function useWidth(room: { current: HTMLElement | null }): number {
	const [width, setWidth] = useState(800);
	useEffect(() => {
		if (!room.current) return;
		const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 800)));
		observer.observe(room.current);
		return () => observer.disconnect();
	}, []);
	return width;
}
