/** The version in package.json. The bundler defines it. */
declare const SOCKETMASTER_VERSION: string;

export const version = SOCKETMASTER_VERSION;
