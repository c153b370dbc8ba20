/** What children inherit from the environment that the supervisor was started in. */
import { faultVariable } from '../crashHandler.ts';
import { startLimitVariable } from '../os/openFiles.ts';
import { ownVariables } from '../os/rawArgv.ts';
import type { Variables } from '../os/spawn.ts';
import type { User } from '../os/user.ts';
import { managerVariables } from '../serviceManager.ts';
import { isOthersAnnouncement } from './activationEnv.ts';

/** Before the names of variables that the launcher (bin/socketmaster) has kept from our own Node. */
const kept = 'SOCKETMASTER_KEPT_';

/** Of a process that Node has started with a channel, which children do not get: with the variables alone theirs would fail. */
const ofChannels = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID'];

/**
 * Ours, but for what the manager told us (a child's STOPPING=1 would stop the service), what others said of their own
 * sockets, and how we fared; with what was kept from our own Node, and what tells programs of the user that they run as.
 */
export function inheritedVariables(user: User | null): Variables {
	const variables = ownVariables();
	for (const [name, value] of Object.entries(variables)) {
		if (name.startsWith(kept)) {
			delete variables[name];
			variables[name.slice(kept.length)] = value;
		}
	}
	for (const name of Object.keys(variables)) {
		const isOurs = managerVariables.includes(name) || name === faultVariable || name === startLimitVariable;
		if (isOurs || isOthersAnnouncement(name) || ofChannels.includes(name)) delete variables[name];
	}
	return user === null ? variables : { ...variables, ...variablesOfUser(user) };
}

function variablesOfUser({ name, home, shell }: User): Variables {
	return { HOME: home, USER: name, LOGNAME: name, SHELL: shell };
}
