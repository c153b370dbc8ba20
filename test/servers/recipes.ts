/** How each server is run: the very lines of docs/servers.md, and the files that they name. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export type Kind = 'tcp' | 'unix';

/** Where one run of a server has its files. */
export interface Slot {
	folder: string;
	kind: Kind;
	/** HOST:PORT, or a path. */
	address: string;
}

/** What is needed to see that a server is seen to accept. */
export interface AcceptingRecipe {
	name: string;
	/** A command that succeeds where it is installed, and the Debian packages that have it. */
	needs: { command: string; packages: string };
	/** What is to be done once, with a folder that is there as long as the test. */
	prepare?: (folder: string) => void;
	/** What to type on tcp, where the server need not say anything. */
	accepting: string;
	/** It loads no application: a program before it waits instead. */
	isConfigured?: true;
	/** Puts a version in place. */
	deploy: (place: Slot, version: string) => void;
	/** Puts one in place that can't serve. */
	spoil: (place: Slot) => void;
	/** Its own way of leaving closes connections between two answers, or ones that it has accepted and not answered. */
	closes?: 'kept' | 'kept and new';
}

export interface Recipe extends AcceptingRecipe {
	/** What to type. */
	lines: Partial<Record<Kind, string>>;
	/** What tells the old one to leave. */
	signal: string;
	/** How it ends when it was told so. */
	leaves?: RegExp;
}

/** The addresses in the lines; a test has its own instead. */
export const documented = { tcp: '127.0.0.1:8080', unix: '/run/app.sock' };

export function lineAt(line: string, { kind, address }: Slot): string {
	return line.replaceAll(documented[kind], address);
}

/** The line on tcp of such a server. */
function onTcp(rest: string): string {
	return `socketmaster -listen=tcp://${documented.tcp} ${rest}`;
}

/** Both lines of a server that needs to know nothing of its address. */
function anywhere(rest: string): Record<Kind, string> {
	return {
		tcp: `socketmaster -listen=tcp://${documented.tcp} ${rest}`,
		unix: `socketmaster -listen=unix://${documented.unix} ${rest}`,
	};
}

export const app = (name: string) => readFileSync(join(import.meta.dirname, 'apps', name), 'utf8');

/** An application is one file; a version of it that fails is that file with another line. */
export function file(name: string, failing: string, more: Record<string, string> = {}) {
	return {
		deploy({ folder }: Slot, version: string) {
			writeFileSync(join(folder, name), app(name).replaceAll('@VERSION@', version));
			for (const [other, text] of Object.entries(more)) writeFileSync(join(folder, other), text);
		},
		spoil({ folder }: Slot) {
			writeFileSync(join(folder, name), `${failing}\n${app(name)}`);
		},
	};
}

/** A server of files: a version is a file of its own, and what names it in the configuration. */
export function configuration(name: string, text: (place: Slot, page: string) => string) {
	return {
		deploy(place: Slot, version: string) {
			const page = join(place.folder, `${version}.txt`);
			writeFileSync(page, `${version} `.repeat(3000).slice(0, 20_000));
			writeFileSync(join(place.folder, name), text(place, page));
		},
		spoil(place: Slot) {
			writeFileSync(join(place.folder, name), `${text(place, '/nowhere')}\nnonsense\n`);
		},
	};
}

/** Where `buildGo` has put it. */
let goServer = '';

const python = 'import nothing_of_that_name';
const ruby = "require 'nothing_of_that_name'";
const perl = 'use NothingOfThatName;';

export const recipes: Recipe[] = [
	{
		name: 'gunicorn with sync workers',
		needs: { command: 'gunicorn --version', packages: 'gunicorn' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=gunicorn -- --workers 4 --bind fd://3 app:app'),
		lines: {
			tcp: 'socketmaster -listen=tcp://127.0.0.1:8080 -ready=notify -start=30000 -signal=TERM -command=gunicorn -- --preload --workers 4 --bind fd://3 app:app',
			unix: 'socketmaster -listen=unix:///run/app.sock -systemd -ready=notify -start=30000 -signal=TERM -command=gunicorn -- --preload --workers 4 app:app',
		},
		signal: 'TERM',
		...file('app.py', python),
	},
	{
		name: 'gunicorn with threads',
		needs: { command: 'gunicorn --version', packages: 'gunicorn' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=gunicorn -- --threads 16 --bind fd://3 app:app'),
		lines: {
			tcp: 'socketmaster -listen=tcp://127.0.0.1:8080 -ready=notify -start=30000 -signal=TERM -command=gunicorn -- --preload --threads 16 --bind fd://3 app:app',
			unix: 'socketmaster -listen=unix:///run/app.sock -systemd -ready=notify -start=30000 -signal=TERM -command=gunicorn -- --preload --threads 16 app:app',
		},
		signal: 'TERM',
		closes: 'kept',
		...file('app.py', python),
	},
	{
		name: 'uvicorn',
		needs: { command: 'uvicorn --version', packages: 'uvicorn' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -kill=5000 -command=uvicorn -- --fd 3 asgi:app'),
		lines: anywhere('-start=5000 -signal=TERM -kill=5000 -command=uvicorn -- --fd 3 asgi:app'),
		signal: 'TERM',
		// One that holds a connection which it has forgotten to tell is killed.
		leaves: /^(exit status 0|signal: killed)$/,
		closes: 'kept and new',
		...file('asgi.py', python),
	},
	{
		name: 'uvicorn, two of it',
		needs: { command: 'uvicorn --version', packages: 'uvicorn' },
		accepting: onTcp(
			'-ready=accept -workers=2 -start=30000 -signal=TERM -kill=5000 -command=uvicorn -- --fd 3 asgi:app',
		),
		lines: anywhere('-workers=2 -start=5000 -signal=TERM -kill=5000 -command=uvicorn -- --fd 3 asgi:app'),
		signal: 'TERM',
		// One that holds a connection which it has forgotten to tell is killed.
		leaves: /^(exit status 0|signal: killed)$/,
		closes: 'kept and new',
		...file('asgi.py', python),
	},
	{
		name: 'uvicorn in a program of its own',
		needs: { command: '/usr/bin/python3 -m uvicorn --version', packages: 'uvicorn' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=/usr/bin/python3 -- polite.py'),
		lines: anywhere('-ready=notify -start=30000 -signal=TERM -command=/usr/bin/python3 -- polite.py'),
		signal: 'TERM',
		...file('asgi.py', python, { 'polite.py': app('polite.py') }),
	},
	{
		name: 'puma',
		needs: { command: `puma --version && ruby -e "require 'sd_notify'"`, packages: 'puma ruby-sd-notify' },
		accepting: onTcp(
			'-systemd -ready=accept -start=30000 -signal=TERM -command=puma -- --threads 16:16 --bind tcp://127.0.0.1:8080',
		),
		lines: {
			tcp: 'socketmaster -listen=tcp://127.0.0.1:8080 -systemd -ready=notify -start=30000 -signal=TERM -command=puma -- --threads 16:16 --bind tcp://127.0.0.1:8080',
			unix: 'socketmaster -listen=unix:///run/app.sock -systemd -ready=notify -start=30000 -signal=TERM -command=puma -- --threads 16:16 --bind unix:///run/app.sock',
		},
		signal: 'TERM',
		leaves: /^signal: terminated$/,
		closes: 'kept and new',
		...file('config.ru', ruby),
	},
	{
		name: 'unicorn',
		needs: { command: 'unicorn --version', packages: 'unicorn' },
		accepting: onTcp(
			'-ready=accept -start=30000 -signal=QUIT -stop=QUIT -command=env -- UNICORN_FD=3 unicorn --config-file unicorn.rb',
		),
		lines: anywhere(
			'-start=4000 -signal=QUIT -stop=QUIT -command=env -- UNICORN_FD=3 unicorn --config-file unicorn.rb',
		),
		signal: 'QUIT',
		...file('config.ru', ruby, { 'unicorn.rb': 'worker_processes 4\npreload_app true\n' }),
	},
	{
		name: 'nginx',
		needs: { command: 'nginx -v', packages: 'nginx-light' },
		accepting:
			"NGINX='3;' socketmaster '-listen=tcp4://127.0.0.1:8080?nonblocking' -ready=accept -start=30000 -signal=QUIT -stop=QUIT -command=nginx -- -p . -c nginx.conf",
		isConfigured: true,
		lines: {
			tcp: "NGINX='3;' socketmaster '-listen=tcp4://127.0.0.1:8080?nonblocking' -start=5000 -signal=QUIT -stop=QUIT -command=nginx -- -p . -c nginx.conf",
			unix: "NGINX='3;' socketmaster '-listen=unix:///run/app.sock?nonblocking' -start=5000 -signal=QUIT -stop=QUIT -command=nginx -- -p . -c nginx.conf",
		},
		signal: 'QUIT',
		closes: 'kept',
		...configuration(
			'nginx.conf',
			({ folder, kind, address }, page) => `
user root;
daemon off;
worker_processes 2;
pid ${folder}/nginx.pid;
error_log stderr notice;
events {}
http {
	access_log off;
	client_body_temp_path ${folder}/body;
	proxy_temp_path ${folder}/proxy;
	fastcgi_temp_path ${folder}/fastcgi;
	uwsgi_temp_path ${folder}/uwsgi;
	scgi_temp_path ${folder}/scgi;
	server {
		listen ${kind === 'unix' ? `unix:${address}` : address};
		root ${folder};
		location / { try_files /${basename(page)} =404; }
		location /slow { try_files /${basename(page)} =404; limit_rate 12k; }
	}
}`,
		),
	},
	{
		name: 'haproxy',
		needs: { command: 'haproxy -v', packages: 'haproxy' },
		accepting: onTcp('-ready=accept -start=30000 -signal=USR1 -stop=USR1 -command=haproxy -- -W -f haproxy.cfg'),
		isConfigured: true,
		lines: anywhere('-ready=notify -start=30000 -signal=USR1 -stop=USR1 -command=haproxy -- -Ws -f haproxy.cfg'),
		signal: 'USR1',
		...configuration(
			'haproxy.cfg',
			(_place, page) => `
global
	tune.bufsize 32768
defaults
	mode http
	timeout client 10s
	timeout server 10s
	timeout connect 10s
	option idle-close-on-response
frontend web
	bind fd@3
	http-request return status 200 content-type text/plain file ${page}
`,
		),
	},
	{
		name: 'Starman',
		needs: { command: 'perl -MStarman -MNet::Server::SS::PreFork -e 1', packages: 'starman' },
		accepting: onTcp(
			'-ready=accept -start=30000 -signal=QUIT -stop=QUIT -command=starman -- --preload-app --disable-keepalive --workers 8 app.psgi',
		),
		// On a unix socket it dies of each connection.
		lines: {
			tcp: 'socketmaster -listen=tcp://127.0.0.1:8080 -start=4000 -signal=QUIT -stop=QUIT -command=starman -- --preload-app --disable-keepalive --workers 8 app.psgi',
		},
		signal: 'QUIT',
		closes: 'kept and new',
		...file('app.psgi', perl),
	},
	{
		name: 'Starlet',
		needs: { command: 'plackup --version && perl -MStarlet -e 1', packages: 'starlet' },
		accepting:
			'socketmaster -listen=tcp4://127.0.0.1:8080 -ready=accept -start=30000 -signal=TERM -command=plackup -- -s Starlet --max-workers=4 app.psgi',
		lines: {
			tcp: 'socketmaster -listen=tcp4://127.0.0.1:8080 -start=4000 -signal=TERM -command=plackup -- -s Starlet --max-workers=4 app.psgi',
			unix: 'socketmaster -listen=unix:///run/app.sock -start=4000 -signal=TERM -command=plackup -- -s Starlet --max-workers=4 app.psgi',
		},
		signal: 'TERM',
		...file('app.psgi', perl),
	},
	{
		name: 'lighttpd',
		needs: { command: 'lighttpd -v', packages: 'lighttpd' },
		accepting:
			'socketmaster -listen=tcp4://127.0.0.1:8080 -systemd -ready=accept -start=30000 -signal=INT -stop=INT -command=lighttpd -- -D -f lighttpd.conf',
		isConfigured: true,
		lines: {
			tcp: 'socketmaster -listen=tcp4://127.0.0.1:8080 -systemd -start=3000 -signal=INT -stop=INT -command=lighttpd -- -D -f lighttpd.conf',
			unix: 'socketmaster -listen=unix:///run/app.sock -systemd -start=3000 -signal=INT -stop=INT -command=lighttpd -- -D -f lighttpd.conf',
		},
		signal: 'INT',
		closes: 'kept',
		...configuration(
			'lighttpd.conf',
			({ folder }, page) => `
server.systemd-socket-activation = "enable"
server.document-root = "${folder}"
server.modules = ( "mod_rewrite" )
mimetype.assign = ( ".txt" => "text/plain" )
$HTTP["url"] == "/slow" { connection.kbytes-per-second = 12 }
url.rewrite-once = ( ".*" => "/${basename(page)}" )
`,
		),
	},
	{
		name: "Python's http.server",
		needs: { command: 'python3 -V', packages: 'python3' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=python3 -- serve.py'),
		lines: anywhere('-ready=notify -start=30000 -signal=TERM -command=python3 -- serve.py'),
		signal: 'TERM',
		...file('serve.py', python),
	},
	{
		name: "Go's net/http",
		needs: { command: 'go version', packages: 'golang-go' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=./server'),
		lines: anywhere('-ready=notify -start=30000 -signal=TERM -command=./server'),
		signal: 'TERM',
		prepare: buildGo,
		deploy({ folder }, version) {
			writeFileSync(join(folder, 'version'), version);
			// Each version is a file of its own: the old one is still being run.
			rmSync(join(folder, 'server'), { force: true });
			copyFileSync(goServer, join(folder, 'server'));
		},
		spoil({ folder }) {
			rmSync(join(folder, 'version'));
		},
	},
	{
		name: "Node's http",
		needs: { command: 'node -v', packages: 'nodejs' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=node -- server.mjs'),
		lines: anywhere('-ready=notify -start=30000 -signal=TERM -command=node -- server.mjs'),
		signal: 'TERM',
		...file('server.mjs', "import 'nothing-of-that-name';"),
	},
	{
		name: "Node's cluster",
		needs: { command: 'node -v', packages: 'nodejs' },
		accepting: onTcp('-ready=accept -start=30000 -signal=TERM -command=node -- cluster.mjs'),
		lines: anywhere('-ready=notify -start=30000 -signal=TERM -command=node -- cluster.mjs'),
		signal: 'TERM',
		...file('cluster.mjs', "import 'nothing-of-that-name';"),
	},
];

/** Compiles Go's server, without a network, a module or a C compiler. */
function buildGo(folder: string): void {
	goServer = join(folder, 'server');
	const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '', CGO_ENABLED: '0', GOCACHE: join(folder, 'cache') };
	const source = join(import.meta.dirname, 'apps/main.go');
	const { status, stderr } = spawnSync('go', ['build', '-o', goServer, source], { env, encoding: 'utf8' });
	if (status !== 0) throw new Error(`go build: ${stderr}`);
}
