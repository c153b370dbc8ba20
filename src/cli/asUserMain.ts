/**
 * A second, small executable: changes its own credentials and becomes the program that fd `order` names. It says the
 * number of the error on fd `answer` where it can't; that one is closed by execve(2).
 * Started by effects/os/asUser.ts: node as-user.cjs ORDER ANSWER [FD]..., the last ones to be closed; without any it says which
 * format it takes.
 */

import { becomeUser, orderFormat } from '../effects/os/becomeUser.ts';
import { setKept } from '../effects/os/descriptors.ts';

const [order, answer, ...own] = process.argv.slice(2).map(Number);
for (const fd of own) setKept(fd, false);
if (order !== undefined && answer !== undefined) becomeUser(order, answer);
else process.stdout.write(orderFormat);
