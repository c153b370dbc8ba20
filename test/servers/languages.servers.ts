/** The three lines of docs/servers.md for each language, in a whole program. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command } from '../support/asking.ts';
import { environment, root, run, scratch } from '../support/program.ts';
import { freePort, path, seen } from './running.ts';

const page = readFileSync(join(root, 'docs/servers.md'), 'utf8');

/** The lines under a name, without their indentation. */
function linesOf(language: string): string[] {
	const [, text = ''] = new RegExp(`^${language}[^\\n]*:\\n\\n((?: {4}[^\\n]*\\n)+)`, 'm').exec(page) ?? [];
	return text.split('\n').flatMap((line) => (line === '' ? [] : line.slice(4)));
}

interface Language {
	name: string;
	needs: string;
	/** The program around the lines, and its file. */
	file: string;
	text: (lines: string[]) => string;
	build?: string[];
	line: string[];
}

const languages: Language[] = [
	{
		name: 'Python',
		needs: 'python3',
		file: 'server.py',
		text: ([imports, listener, accept]) => `
import os
${imports}
${listener}
while True:
    ${accept}
    client.recv(4096)
    client.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n%d' % os.getpid())
    client.close()
`,
		line: ['python3', 'server.py'],
	},
	{
		name: 'Go',
		needs: 'go',
		file: 'server.go',
		text: (lines) => `
package main

import ("fmt"; "net"; "net/http"; "os")

func main() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getpid()) })
	${lines.join('\n\t')}
	fmt.Println(err)
}
`,
		build: ['go', 'build', '-o', 'server', 'server.go'],
		line: ['./server'],
	},
	{
		name: 'Ruby',
		needs: 'ruby',
		file: 'server.rb',
		text: ([imports, listener, accept]) => `
${imports}
${listener}
loop do
  ${accept}
  client.recv(4096)
  client.write("HTTP/1.0 200 OK\\r\\n\\r\\n#{Process.pid}")
  client.close
end
`,
		line: ['ruby', 'server.rb'],
	},
	{
		name: 'PHP',
		needs: 'php',
		file: 'server.php',
		text: ([listener, accept, write]) => `<?php
${listener}
while (true) {
	${accept}
	fread($client, 4096);
	$answer = "HTTP/1.0 200 OK\\r\\n\\r\\n" . getmypid();
	${write}
	fclose($client);
}
`,
		line: ['php', 'server.php'],
	},
	{
		name: 'Java',
		needs: 'javac',
		file: 'Server.java',
		text: ([listener, accept, write]) => `
import java.nio.ByteBuffer;
import java.nio.channels.*;

class Server {
	public static void main(String[] args) throws Exception {
		${listener}
		while (true) {
			${accept}
			client.read(ByteBuffer.allocate(4096));
			byte[] answer = ("HTTP/1.0 200 OK\\r\\n\\r\\n" + ProcessHandle.current().pid()).getBytes();
			${write}
			client.close();
		}
	}
}
`,
		line: ['sh', '-c', 'exec java Server.java <&3'],
	},
];

const isThere = ({ needs }: Language) =>
	spawnSync('sh', ['-c', `command -v ${needs}`], { env: environment({ PATH: path }) }).status === 0;

describe.each(languages)('$name', (language) => {
	it.skipIf(!isThere(language))('answers with three lines of the page, and is replaced', async () => {
		const folder = scratch();
		const lines = linesOf(language.name);
		expect(lines).toHaveLength(3);
		writeFileSync(join(folder, language.file), language.text(lines));
		const env = environment({ PATH: path, HOME: folder, PWD: folder });
		if (language.build) {
			const [program = '', ...args] = language.build;
			const { status, stderr } = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' });
			expect(status, stderr).toBe(0);
		}
		const port = await freePort();
		const control = join(folder, 'control');
		const [first = '', ...args] = language.line;
		const program = run(
			[
				`-listen=tcp4://127.0.0.1:${port}`,
				'-ready=accept',
				'-start=30000',
				'-signal=TERM',
				`-control=${control}`,
				`-command=${first}`,
				'--',
				...args,
			],
			{ cwd: folder, env },
		);
		await seen(program, /^Generation 1 is up/);
		const ask = async () => Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
		const before = await ask();
		expect(before).toBeGreaterThan(0);
		expect((await command(['rotate', `-control=${control}`]).done).status).toBe(0);
		await seen(program, new RegExp(`^${before} (exit status|signal)`));
		expect(await ask()).not.toBe(before);
	});
});
