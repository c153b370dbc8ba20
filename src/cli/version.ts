/** The version of this program, as package.json has it; the bundler puts it in. */
declare const SOCKETMASTER_VERSION: string;

export const version = SOCKETMASTER_VERSION;
