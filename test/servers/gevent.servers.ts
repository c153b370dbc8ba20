/** gunicorn with gevent and -bake: a version whose workers end a second after they have loaded. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { command } from '../support/asking.ts';
import { environment, run, scratch } from '../support/program.ts';
import { freePort, path, seen } from './running.ts';

const isThere =
	spawnSync('sh', ['-c', 'gunicorn --version && /usr/bin/python3 -c "import gevent"'], {
		env: environment({ PATH: path }),
	}).status === 0;

const app = (version: string, more = '') => `
import os
${more}
def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'${version}']
`;

const answer = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`)).text();

it.skipIf(!isThere)('the old version keeps serving, and rotate is told', async () => {
	const folder = scratch();
	const [port, control] = [await freePort(), join(folder, 'control')];
	writeFileSync(join(folder, 'app.py'), app('one'));
	const program = run(
		[
			`-listen=tcp://127.0.0.1:${port}`,
			'-ready=accept',
			'-start=30000',
			'-signal=TERM',
			'-bake=4000',
			`-control=${control}`,
			'-command=gunicorn',
			'--',
			...['--worker-class', 'gevent', '--bind', 'fd://3', 'app:app'],
		],
		{ cwd: folder, env: environment({ PATH: path, PWD: folder, PYTHONDONTWRITEBYTECODE: '1' }) },
	);
	await seen(program, /^Generation 1 is up/);
	// Its worker loads the application later.
	expect(await answer(port)).toBe('one');
	// gunicorn ends with a worker that ends with 3.
	writeFileSync(join(folder, 'app.py'), app('two', 'import gevent; gevent.spawn_later(1, os._exit, 3)'));
	const { status, stderr } = await command(['rotate', `-control=${control}`]).done;
	expect(status).toBe(1);
	expect(stderr).toMatch(
		/^✘ Generation 2 failed after .*: \d+ exit status 3 during its bake \(-bake=4000\)\n {2}Generation 1 keeps serving\.\n/,
	);
	expect(await answer(port)).toBe('one');
});
