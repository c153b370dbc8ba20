/** The commands that ask a supervisor: a program of its own, so that a supervisor has nothing of it. */
import { runRotate } from './rotate.ts';
import { runStatus } from './status.ts';
import { runStop } from './stop.ts';
import { runUpgrade } from './upgrade.ts';

export const commands = { rotate: runRotate, status: runStatus, stop: runStop, upgrade: runUpgrade };
