/** The commands that ask a supervisor: a program of its own, which the launcher loads instead of a supervisor's. */
import { runRotate } from './rotate.ts';
import { runStatus } from './status.ts';
import { runStop } from './stop.ts';
import { runUpgrade } from './upgrade.ts';

export const commands = { rotate: runRotate, status: runStatus, stop: runStop, upgrade: runUpgrade };
