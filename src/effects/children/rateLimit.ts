/** Limits how much of what other processes send is processed per second. */

/** Counts per second of the clock, so that a sender cannot use all the time of the supervisor. */
export class RateLimit {
	readonly #mostInASecond: number;
	#second = 0;
	#count = 0;

	constructor(mostInASecond: number) {
		this.#mostInASecond = mostInASecond;
	}

	/** Starts at zero in a second that differs from that of the last call. */
	begin(nowMs: number): void {
		const second = Math.floor(nowMs / 1000);
		if (second === this.#second) return;
		this.#second = second;
		this.#count = 0;
	}

	add(): void {
		this.#count += 1;
	}

	isReached(): boolean {
		return this.#count >= this.#mostInASecond;
	}
}
