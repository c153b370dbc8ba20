/** The file that a UNIX listener has made, as it is written down. */
import { nullable, number, object, string } from 'valibot';

export const fileSchema = () => nullable(object({ path: string(), dev: number(), ino: number() }));
