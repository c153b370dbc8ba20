/** The variables that children inherit from the environment of the supervisor. */
import { faultVariable } from '../crashHandler.ts';
import { startLimitVariable } from '../os/openFiles.ts';
import { ownVariables } from '../os/rawArgv.ts';
import type { Variables } from '../os/spawn.ts';
import type { User } from '../os/user.ts';
import { managerVariables } from '../serviceManager.ts';
import { isOthersAnnouncement } from './activationEnv.ts';

/** The prefix that the launcher (bin/socketmaster) gives to variables that the supervisor's own Node must not see. */
const keptPrefix = 'SOCKETMASTER_KEPT_';

/**
 * Node sets these variables for a process with an IPC channel. Children do not get the channel, and Node would fail in
 * a child that has only the variables.
 */
const ipcVariables = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID'];

/**
 * The supervisor's variables, without those of the service manager (a child's STOPPING=1 would stop the service),
 * socket variables that were meant for the supervisor, and the supervisor's own variables (last internal error, file
 * limit). Variables that the launcher renamed get their names back. With -user the user's HOME, USER, LOGNAME and SHELL
 * are set.
 */
export function inheritedVariables(user: User | null): Variables {
	const variables = ownVariables();
	for (const [name, value] of Object.entries(variables)) {
		if (name.startsWith(keptPrefix)) {
			delete variables[name];
			variables[name.slice(keptPrefix.length)] = value;
		}
	}
	for (const name of Object.keys(variables)) {
		const isOurs = managerVariables.includes(name) || name === faultVariable || name === startLimitVariable;
		if (isOurs || isOthersAnnouncement(name) || ipcVariables.includes(name)) delete variables[name];
	}
	return user === null ? variables : { ...variables, ...variablesOfUser(user) };
}

function variablesOfUser({ name, home, shell }: User): Variables {
	return { HOME: home, USER: name, LOGNAME: name, SHELL: shell };
}
