/**
 * A second, small executable, started by effects/os/asUser.ts as `node as-user.cjs ORDER ANSWER [FD]...`. All arguments
 * are fds. The executable changes its own credentials and executes the program that the memfd ORDER names. If that
 * fails, it writes the errno to the pipe ANSWER. execve(2) closes ANSWER and each FD. Without arguments, the executable
 * prints the format of an order.
 */

import { becomeUser, orderFormat } from '../effects/os/becomeUser.ts';
import { setKept } from '../effects/os/descriptors.ts';

const [order, answer, ...own] = process.argv.slice(2).map(Number);
for (const fd of own) setKept(fd, false);
if (order !== undefined && answer !== undefined) becomeUser(order, answer);
else process.stdout.write(orderFormat);
