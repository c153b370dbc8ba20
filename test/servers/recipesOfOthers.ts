/** Servers that are run to see that they are seen to accept, and no further. */
import { type AcceptingRecipe, app, configuration, documented, file } from './recipes.ts';

const onTcp = (rest: string) => `socketmaster -listen=tcp://${documented.tcp} -ready=accept -start=30000 ${rest}`;

const python = 'import nothing_of_that_name';

export const recipesOfOthers: AcceptingRecipe[] = [
	{
		name: 'gunicorn with gevent',
		needs: {
			command: 'gunicorn --version && /usr/bin/python3 -c "import gevent"',
			packages: 'gunicorn python3-gevent',
		},
		accepting: onTcp('-signal=TERM -command=gunicorn -- --worker-class gevent --workers 2 --bind fd://3 app:app'),
		...file('app.py', python),
	},
	{
		name: 'gunicorn with workers of uvicorn',
		needs: { command: 'gunicorn --version && uvicorn --version', packages: 'gunicorn uvicorn' },
		accepting: onTcp(
			'-signal=TERM -command=gunicorn -- --worker-class uvicorn.workers.UvicornWorker --workers 2 --bind fd://3 asgi:app',
		),
		...file('asgi.py', python),
	},
	{
		name: 'hypercorn',
		needs: { command: 'hypercorn --help', packages: 'python3-hypercorn' },
		accepting: onTcp('-signal=TERM -command=hypercorn -- --bind fd://3 asgi:app'),
		...file('asgi.py', python),
	},
	{
		name: 'waitress',
		needs: { command: '/usr/bin/python3 -c "import waitress"', packages: 'python3-waitress' },
		closes: 'kept and new',
		accepting: onTcp('-signal=TERM -command=/usr/bin/python3 -- waitress_app.py'),
		...file('app.py', python, { 'waitress_app.py': app('waitress_app.py') }),
	},
	{
		name: 'aiohttp',
		needs: { command: '/usr/bin/python3 -c "import aiohttp"', packages: 'python3-aiohttp' },
		accepting: onTcp('-signal=TERM -command=/usr/bin/python3 -- aiohttp_app.py'),
		...file('aiohttp_app.py', python),
	},
	{
		name: 'tornado',
		needs: { command: '/usr/bin/python3 -c "import tornado"', packages: 'python3-tornado' },
		accepting: onTcp('-signal=TERM -command=/usr/bin/python3 -- tornado_app.py'),
		...file('tornado_app.py', python),
	},
	{
		name: 'twisted',
		needs: { command: 'twistd3 --version', packages: 'python3-twisted' },
		closes: 'kept and new',
		accepting: onTcp(
			'-systemd -signal=TERM -kill=5000 -command=env -- PYTHONPATH=. twistd3 --nodaemon --pidfile= web --listen=systemd:domain=INET:index=0 --wsgi app.app',
		),
		...file('app.py', python),
	},
	{
		name: 'uWSGI',
		needs: { command: 'uwsgi_python3 --version', packages: 'uwsgi-plugin-python3' },
		accepting: onTcp(
			'-systemd -signal=TERM -kill=5000 -command=uwsgi_python3 -- --master --protocol=http --need-app --processes 2 --hook-master-start "unix_signal:15 gracefully_kill_them_all" --wsgi-file app.py --callable app',
		),
		...file('app.py', python),
	},
	{
		name: 'Mojolicious',
		needs: { command: 'perl -MMojolicious -e 1', packages: 'libmojolicious-perl' },
		accepting: onTcp(
			"-signal=QUIT -stop=QUIT -command=perl -- app.pl prefork --workers 2 --listen 'http://127.0.0.1?fd=3'",
		),
		...file('app.pl', 'use NothingOfThatName;'),
	},
	{
		name: 'h2o',
		needs: { command: 'h2o --version', packages: 'h2o' },
		accepting: onTcp('-signal=TERM -command=h2o -- -c h2o.conf'),
		isConfigured: true,
		...configuration(
			'h2o.conf',
			({ address }, page) => `
user: root
num-threads: 2
hosts:
  default:
    listen:
      host: ${address.split(':')[0]}
      port: ${address.split(':')[1]}
    paths:
      "/":
        file.file: ${page}
`,
		),
	},
];
