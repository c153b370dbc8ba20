#!/bin/sh
# Installs the Node frameworks that tests run: those of test/child, and with --all those of test/servers too. They stay
# outside the project, whose own dependencies are few.
set -e
place=/var/tmp/socketmaster-frameworks
mkdir -p "$place"
cd "$place"
install() {
	# Their optional packages are large, and those that are needed are named.
	timeout 240 npm install --silent --no-audit --no-fund --omit=optional --prefix . "$@"
}
version() {
	node -p "require('$1/package.json').version"
}
has() {
	for package in "$@"; do [ -e "node_modules/$package/package.json" ] || return 1; done
}
has express fastify koa hono @hono/node-server || install express@5 fastify@5 koa@3 hono@4 @hono/node-server@1
[ "$1" = --all ] || exit 0
has @nestjs/core socket.io socket.io-client ws ||
	install @nestjs/core@11 @nestjs/common@11 @nestjs/platform-express@11 reflect-metadata rxjs@7 socket.io@4 socket.io-client@4 ws@8
has next vite || install next@15 react@19 react-dom@19 vite@7
[ "$(uname -m)" = x86_64 ] || exit 0
has @esbuild/linux-x64 @rollup/rollup-linux-x64-gnu @next/swc-linux-x64-gnu ||
	install "@esbuild/linux-x64@$(version esbuild)" "@rollup/rollup-linux-x64-gnu@$(version rollup)" \
		"@next/swc-linux-x64-gnu@$(version next)"
