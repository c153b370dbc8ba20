/**
 * A process of another user. No thread of the supervisor may bear the user's uid, for kill(2) looks at that; so what is
 * spawned is Node with this program's smallest part (src/cli/asUser.ts), which changes its own credentials and becomes
 * the program.
 */
import { closeSync, existsSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { append, newMemory } from '../upgrade/memory.ts';
import { orderFormat } from './becomeUser.ts';
import { debuggerFlag } from './debugger.ts';
import { closeAll, makePipe } from './descriptors.ts';
import { onceReadable, SyscallError } from './libc.ts';
import { type SpawnSpec, spawnProcess, variablesOf } from './spawn.ts';
import type { User } from './user.ts';

/** Where the built program lies, in tests of the source. */
declare const SOCKETMASTER_DIST: string;

const dist = typeof SOCKETMASTER_DIST === 'undefined' ? dirname(import.meta.url) : SOCKETMASTER_DIST;

/**
 * With the flag for an older Node about one birth in 300 under attack never ended; without it 500 of 500 do. Nobody but
 * root can signal such a process before it is the user's, and then a debugger would be the user's too.
 */
const birthFlags = debuggerFlag === '--disable-sigusr1' ? [debuggerFlag] : [];

/** The Node that runs, also where another one has been installed in its place. */
const ownProgram = '/proc/self/exe';

/** Whether what is needed for it is installed, and speaks as we do. @throws {Error} */
export function checkAsUser(): void {
	const { execFileSync } = createRequire(import.meta.url)('node:child_process') as typeof import('node:child_process');
	const words = [debuggerFlag, join(dist, 'as-user.cjs')];
	const said = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: 'pipe', env: {} });
	if (said !== orderFormat) throw new Error('as-user.cjs is not sound');
}

/** How it went: null where it became the program. */
export type Outcome = SyscallError | null;

export interface Birth {
	/** Of the process, which is to become the program. */
	pid: number;
	/** How it went: to be asked only when it is known, or when the process has ended. */
	outcome: () => Outcome;
	/** Told once, when it is known how it went. */
	onKnown: (known: () => void) => void;
}

/**
 * Starts a process that is to become the program. Its environment is not the program's until then, so that nothing
 * in that is obeyed with our rights; `mark` is what tells a recovering supervisor whose it is.
 * @throws {SyscallError}
 */
export function spawnAsUser(spec: SpawnSpec, user: User, mark: Record<string, string>): Birth {
	const fds: number[] = [];
	try {
		const order = newMemory('');
		fds.push(order);
		append(order, orderOf(spec, user));
		const ends = makePipe();
		fds.push(...ends);
		const [read, write] = ends;
		const first = spec.fds.length;
		const pid = spawnProcess({
			path: existsSync(ownProgram) ? ownProgram : process.execPath,
			args: [...birthFlags, join(dist, 'as-user.cjs'), String(first), String(first + 1)],
			env: mark,
			fds: [...spec.fds, order, write],
			directory: spec.directory,
			isSession: true,
		});
		closeAll([order, write]);
		return birthOf(pid, read);
	} catch (error) {
		closeAll(fds);
		throw error;
	}
}

/** The pipe ends without a word at execve(2), and with the number of the error where that fails. */
function birthOf(pid: number, answer: number): Birth {
	let known: Outcome | undefined;
	let cancel = () => {};

	function outcome(): Outcome {
		if (known !== undefined) return known;
		cancel();
		const said = Buffer.alloc(16);
		const errno = Number(said.toString('latin1', 0, readSync(answer, said)));
		closeSync(answer);
		known = errno === 0 ? null : new SyscallError('execve', errno);
		return known;
	}

	function onKnown(told: () => void) {
		cancel = onceReadable(answer, told);
	}

	return { pid, outcome, onKnown };
}

/** Everything the process needs, parted by NUL, which no argument and no variable can hold. */
function orderOf({ path, args, env }: SpawnSpec, { uid, gid, groups }: User): Buffer {
	const fields = [orderFormat, `${uid}`, `${gid}`, groups.join(), path, `${args.length}`, ...args, ...variablesOf(env)];
	return Buffer.concat(fields.flatMap((field) => [Buffer.from(field as string), Buffer.from([0])]));
}
