/**
 * Calls libc through koffi: one table of signatures, one error class. Only this file calls koffi.
 * Structures are passed as Buffers. Their layouts are those of 64-bit Linux, the same for glibc and musl.
 */
import { createRequire } from 'node:module';

type Koffi = typeof import('koffi');

const require = createRequire(import.meta.url);

/** The path of koffi's native library; null if koffi was loaded in another way. */
export let nativeFile: string | null = null;

/**
 * Loads koffi's native library by its own name, the glibc build before the musl build. koffi's general entry point
 * takes 10 times as long to find the library (docs/decisions.md).
 */
function loadKoffi(): Koffi {
	// A process that changes to another user has loaded koffi from a memfd (asUser.ts).
	const { socketmasterKoffi } = globalThis as { socketmasterKoffi?: Koffi };
	if (socketmasterKoffi) return socketmasterKoffi;
	const target = `${process.platform}-${process.arch}`;
	for (const build of [`linux_${process.arch}`, `musl_${process.arch}`]) {
		try {
			const name = `@koromix/koffi-${target}/${build}/koffi.node`;
			const loaded = require(name);
			nativeFile = require.resolve(name);
			return loaded;
		} catch {
			// The build is for another libc, or the package has another layout.
		}
	}
	return require('koffi').default;
}

// Pure: a bundle that calls nothing of libc does not load koffi.
const koffi = /* @__PURE__ */ loadKoffi();
const library = /* @__PURE__ */ koffi.load(null);

const signatures = {
	socket: 'int socket(int domain, int type, int protocol)',
	setsockopt: 'int setsockopt(int fd, int level, int name, void *value, uint32_t length)',
	getsockopt: 'int getsockopt(int fd, int level, int name, void *value, void *length)',
	getsockname: 'int getsockname(int fd, void *address, void *length)',
	bind: 'int bind(int fd, void *address, uint32_t length)',
	listen: 'int listen(int fd, int backlog)',
	connect: 'int connect(int fd, void *address, uint32_t length)',
	getaddrinfo: 'int getaddrinfo(const char *node, const char *service, void *hints, void *result)',
	freeaddrinfo: 'void freeaddrinfo(void *result)',
	ioctl: 'int ioctl(int fd, ulong request, void *argument)',
	fcntl: 'int fcntl(int fd, int command, long argument)',
	flock: 'int flock(int fd, int operation)',
	pipe2: 'int pipe2(void *fds, int flags)',
	getgrnam_r: 'int getgrnam_r(const char *name, void *group, void *buffer, size_t size, void *result)',
	signal: 'void *signal(int signal, intptr_t handler)',
	kill: 'int kill(int pid, int signal)',
	waitpid: 'int waitpid(int pid, void *status, int options)',
	getpwnam_r: 'int getpwnam_r(const char *name, void *passwd, void *buffer, size_t size, void *result)',
	getgrouplist: 'int getgrouplist(const char *user, uint32_t group, void *groups, void *count)',
	posix_spawn: 'int posix_spawn(void *pid, void *path, void *actions, void *attributes, void *argv, void *envp)',
	posix_spawn_file_actions_init: 'int posix_spawn_file_actions_init(void *actions)',
	posix_spawn_file_actions_destroy: 'int posix_spawn_file_actions_destroy(void *actions)',
	posix_spawn_file_actions_adddup2: 'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
	posix_spawn_file_actions_addchdir_np: 'int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)',
	posix_spawn_file_actions_addfchdir_np: 'int posix_spawn_file_actions_addfchdir_np(void *actions, int fd)',
	posix_spawnattr_init: 'int posix_spawnattr_init(void *attributes)',
	posix_spawnattr_destroy: 'int posix_spawnattr_destroy(void *attributes)',
	posix_spawnattr_setflags: 'int posix_spawnattr_setflags(void *attributes, short flags)',
	posix_spawnattr_setpgroup: 'int posix_spawnattr_setpgroup(void *attributes, int group)',
	posix_spawnattr_setsigmask: 'int posix_spawnattr_setsigmask(void *attributes, void *set)',
	posix_spawnattr_setsigdefault: 'int posix_spawnattr_setsigdefault(void *attributes, void *set)',
	sigaction: 'int sigaction(int number, void *next, void *before)',
	sigaddset: 'int sigaddset(void *set, int signal)',
	pthread_sigmask: 'int pthread_sigmask(int how, void *set, void *old)',
	sigfillset: 'int sigfillset(void *set)',
	syscall: 'long syscall(long number, long a, long b, long c, void *d)',
	syscallWithPointer: 'long syscall(long number, long a, void *b, long c, long d)',
	setfsuid: 'int setfsuid(uint uid)',
	setfsgid: 'int setfsgid(uint gid)',
	prctl: 'int prctl(int option, ulong a, ulong b, ulong c, ulong d)',
	prlimit: 'int prlimit(int pid, int resource, void *next, void *before)',
	getpwuid_r: 'int getpwuid_r(uint32_t uid, void *passwd, void *buffer, size_t size, void *result)',
	execve: 'int execve(void *path, void *argv, void *envp)',
	poll: 'int poll(void *fds, ulong count, int timeout)',
	memfd_create: 'int memfd_create(const char *name, uint flags)',
	sendmsg: 'long sendmsg(int fd, void *message, int flags)',
	shutdown: 'int shutdown(int fd, int how)',
	recvmsg: 'long recvmsg(int fd, void *message, int flags)',
	accept4: 'int accept4(int fd, void *address, void *length, int flags)',
	send: 'long send(int fd, void *bytes, size_t length, int flags)',
	recv: 'long recv(int fd, void *bytes, size_t length, int flags)',
	clock_gettime: 'int clock_gettime(int clock, void *time)',
	strerror: 'const char *strerror(int code)',
	strsignal: 'const char *strsignal(int signal)',
	_exit: 'void _exit(int status)',
} as const;

type Name = keyof typeof signatures;

const functions = new Map<Name, ReturnType<typeof library.func>>();

/**
 * A C function by its name, declared on first use. `syscallWithPointer` is syscall(2) with a pointer as the second
 * argument of the system call.
 */
export function libc(name: Name): ReturnType<typeof library.func> {
	let found = functions.get(name);
	if (!found) {
		found = library.func(signatures[name]);
		functions.set(name, found);
	}
	return found;
}

/**
 * A failed system call. `code` is the name of the error (`EMFILE`), `errno` its number. `message` is libc's
 * description, with a lower-case first letter.
 */
export class SyscallError extends Error {
	readonly syscall: string;
	readonly errno: number;
	constructor(syscall: string, errno: number) {
		super(errorText(errno));
		this.name = 'SyscallError';
		this.syscall = syscall;
		this.errno = errno;
	}
	get code(): string {
		return Object.entries(koffi.os.errno).find(([, errno]) => errno === this.errno)?.[0] ?? `E${this.errno}`;
	}
}

/** Calls a function that returns -1 and sets errno on failure. @throws {SyscallError} */
export function call(name: Name, ...args: unknown[]): number {
	const result = Number(libc(name)(...args));
	if (result === -1) throw new SyscallError(name, koffi.errno());
	return result;
}

/** Calls a function that returns 0 on success and an error number on failure. @throws {SyscallError} */
export function callReturningError(name: Name, ...args: unknown[]): void {
	const errno = Number(libc(name)(...args));
	if (errno !== 0) throw new SyscallError(name, errno);
}

/** The number of an error by its name, as in `errno('EAGAIN')`; -1 for an unknown name. */
export function errno(code: string): number {
	return koffi.os.errno[code] ?? -1;
}

/** "no such file or directory" for 2. */
function errorText(code: number): string {
	const text: string = libc('strerror')(code);
	return text.charAt(0).toLowerCase() + text.slice(1);
}

/** A view of the bytes at an address. The view changes with the memory, and is invalid after the memory is freed. */
export function bytesAt(address: bigint, length: number): Buffer {
	return Buffer.from(koffi.view(address, length));
}

/** A NUL-terminated string. A Buffer may contain bytes that are not valid UTF-8. */
export function cString(text: string | Buffer): Buffer {
	return Buffer.concat([Buffer.from(text as string), Buffer.from([0])]);
}

/** A NULL-terminated char *[] and one block with its strings. Keep both as long as C code may read them. */
export function stringArray(strings: (string | Buffer)[]): { pointers: BigUint64Array; block: Buffer } {
	const end = Buffer.from([0]);
	const parts = strings.map((string) => Buffer.from(string as string));
	const block = Buffer.concat(parts.flatMap((part) => [part, end]));
	const pointers = new BigUint64Array(strings.length + 1);
	let address = BigInt(koffi.address(block));
	parts.forEach((part, index) => {
		pointers[index] = address;
		address += BigInt(part.length + 1);
	});
	return { pointers, block };
}

/**
 * Calls `readable` each time the fd is readable. libuv polls the fd in the event loop, so no thread waits. koffi does
 * not document this function, so its version is pinned (docs/decisions.md).
 */
export function poll(fd: number, readable: () => void): { close: () => void } {
	return koffi.node.poll(fd, { readable: true }, guarded(readable));
}

/**
 * Calls `readable` once, when the fd is readable or its writer has closed.
 * @returns a function that cancels the wait
 */
export function onceReadable(fd: number, readable: () => void): () => void {
	const handle = poll(fd, () => {
		handle.close();
		readable();
	});
	return () => handle.close();
}

/** Calls `writable` once, when the fd is writable. */
export function onceWritable(fd: number, writable: () => void): void {
	const handle = koffi.node.poll(
		fd,
		{ writable: true },
		guarded(() => {
			handle.close();
			writable();
		}),
	);
}

/** koffi discards an exception of a callback. The wrapper throws the exception again from the event loop. */
function guarded(callback: () => void): () => void {
	return () => {
		try {
			callback();
		} catch (error) {
			setImmediate(() => {
				throw error;
			});
		}
	};
}

export function addressOf(buffer: Buffer): bigint {
	return BigInt(koffi.address(buffer));
}

/** Constants of <fcntl.h>, <sys/socket.h> and <sys/wait.h> on Linux. */
export const constants = {
	AF_UNIX: 1,
	AF_INET: 2,
	AF_INET6: 10,
	AI_PASSIVE: 1,
	SOCK_STREAM: 1,
	SOCK_DGRAM: 2,
	SOCK_NONBLOCK: 0o4000,
	SOCK_CLOEXEC: 0o2000000,
	SOL_SOCKET: 1,
	SO_REUSEADDR: 2,
	SO_PASSCRED: 16,
	SO_PEERCRED: 17,
	SO_ACCEPTCONN: 30,
	SCM_RIGHTS: 1,
	SCM_CREDENTIALS: 2,
	SCM_PIDFD: 4,
	SO_TYPE: 3,
	MSG_NOSIGNAL: 0x4000,
	MSG_DONTWAIT: 0x40,
	MSG_CMSG_CLOEXEC: 0x40000000,
	FIONREAD: 0x541b,
	IPPROTO_IPV6: 41,
	IPV6_V6ONLY: 26,
	F_SETFD: 2,
	F_GETFL: 3,
	F_SETFL: 4,
	FD_CLOEXEC: 1,
	F_DUPFD_CLOEXEC: 1030,
	O_NONBLOCK: 0o4000,
	O_CLOEXEC: 0o2000000,
	WNOHANG: 1,
	/** The exit status of a shell for a program that it found and could not execute. */
	EXIT_NOT_EXECUTED: 126,
	CLOCK_BOOTTIME: 7,
} as const;
