/** The file that a UNIX listener has made. */
import { nullable, number, object, string } from 'valibot';

/** As it was then. */
export interface SocketFile {
	path: string;
	dev: number;
	ino: number;
}

/** As it is written down. */
export const fileSchema = () => nullable(object({ path: string(), dev: number(), ino: number() }));
