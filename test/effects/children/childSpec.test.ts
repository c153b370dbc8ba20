import { expect, it } from 'vitest';
import { type ChildSpecOptions, childSpec } from '../../../src/effects/children/childSpec.ts';

const spec: ChildSpecOptions['spec'] = {
	path: '/bin/server',
	args: ['-v'],
	directory: '/srv/current',
	isDirectoryAsked: true,
	run: 'r',
	env: async () => ({}),
	isSystemd: false,
	watchdogMs: 0,
	drain: 'HUP',
	stop: 'TERM',
	adopt: null,
};
const listener = { fd: 7, uri: 'tcp://:80', address: ':80', bound: { family: 'AF_INET', host: '0.0.0.0', port: 80 } };

const specOf = ({ spec: change, ...rest }: Partial<Omit<ChildSpecOptions, 'spec'>> & { spec?: object }) =>
	childSpec({
		spec: { ...spec, ...change },
		variables: { PWD: '/srv/current', A: 'a' },
		input: { child: 1, generation: 2, index: 3 },
		from: { fd: 9, directory: '/srv/releases/1' },
		listeners: [listener as unknown as ChildSpecOptions['listeners'][number]],
		streams: [0, 5, 5],
		notify: { fds: [8], variables: { NOTIFY_SOCKET: '/run/notify' } },
		mark: { SOCKETMASTER_CHILD: '1' },
		...rest,
	});

it('the fds of a child are stdin, its output twice, the listeners, the notify sockets', () => {
	expect(specOf({}).fds).toEqual([0, 5, 5, 7, 8]);
});

it('a child starts in the open directory with all its variables', () => {
	const { directory, env } = specOf({});
	expect(directory).toBe(9);
	expect(env).toMatchObject({ A: 'a', LISTEN_FDS: '1', NOTIFY_SOCKET: '/run/notify', SOCKETMASTER_CHILD: '1' });
});

it('the mark of a child replaces variables of that name', () => {
	expect(specOf({ variables: { SOCKETMASTER_CHILD: '5' } }).env.SOCKETMASTER_CHILD).toBe('1');
});

it('PWD is the real path of a directory that -chdir names', () => {
	expect(specOf({}).env.PWD).toBe('/srv/releases/1');
	expect(specOf({ from: { fd: 9, directory: null } }).env.PWD).toBe('/srv/current');
	expect(specOf({ spec: { isDirectoryAsked: false } }).env.PWD).toBe('/srv/current');
});

it('with -systemd a shell executes the program, which sets LISTEN_PID', () => {
	expect(specOf({})).toMatchObject({ path: '/bin/server', args: ['-v'] });
	const { path, args } = specOf({ spec: { isSystemd: true } });
	expect([path, ...args]).toEqual(['/bin/sh', '-c', 'LISTEN_PID=$$ exec "$0" "$@"', '/bin/server', '-v']);
});
