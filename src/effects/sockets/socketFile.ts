/** The file that a UNIX listener has created. */
import { nullable, number, object, string } from 'valibot';

/** Path, device and inode at its creation. */
export interface SocketFile {
	path: string;
	dev: number;
	ino: number;
}

/** The form in the journal and in the handover state. */
export const fileSchema = () => nullable(object({ path: string(), dev: number(), ino: number() }));
