/** Whether a program handles a signal itself. */

interface ExitHooks {
	count?: number;
}

/**
 * The package signal-exit listens to every signal, and leaves the signal to others if there are others. Its listeners do
 * not count.
 * @param ours the listener that does not count either
 */
export function isHandledByProgram(signal: NodeJS.Signals, ours: () => void): boolean {
	const others = process.listeners(signal).filter((listener) => listener !== ours).length;
	const { __signal_exit_emitter__: hooks } = process as unknown as { __signal_exit_emitter__?: ExitHooks };
	const { [Symbol.for('signal-exit emitter')]: newHooks } = globalThis as unknown as Record<
		symbol,
		ExitHooks | undefined
	>;
	return others > (hooks?.count ?? 0) + (newHooks?.count ?? 0);
}
