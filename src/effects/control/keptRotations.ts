/** The rotations that the supervisor keeps, as the control socket sends them. */
import type { Rotation, Rotations } from '../../machines/state/rotations.ts';

export function rotationOf({ kept }: Rotations, generation: number): Rotation | undefined {
	return kept.findLast((each) => each.generation === generation);
}

/** Hides the last output of a rotation that has not failed. */
export function shown(rotation: Rotation): Rotation {
	return rotation.result === 'failed' ? rotation : { ...rotation, lastOutput: [] };
}
