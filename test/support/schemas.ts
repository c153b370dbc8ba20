/** What a schema takes, as plain JSON: to be kept, and compared with a later one. */
import * as fc from 'fast-check';

export type Description =
	| { object: Record<string, Description> }
	| { array: Description }
	| { tuple: Description[] }
	| { record: Description }
	| { anyOf: Description[] }
	| { oneOf: unknown[] }
	/** May be missing; `default` is what it is then. */
	| { optional: Description; default?: unknown }
	| { nullable: Description }
	/** What is asked for besides, as `max_value:4096`. */
	| { checked: Description; by: string[] }
	| string;

// biome-ignore lint/suspicious/noExplicitAny: each kind of schema has fields of its own
type AnySchema = any;

export function describeSchema(schema: AnySchema): Description {
	const [base, ...rest] = schema.pipe ?? [schema];
	// What is made of it, once it is taken, takes nothing from it.
	const checks = rest.filter(({ kind, type }: AnySchema) => kind === 'validation' && type !== 'transform');
	if (checks.length === 0) return describeBase(base);
	const by = checks.map(({ type, requirement }: AnySchema) =>
		typeof requirement === 'function' || requirement === undefined ? type : `${type}:${requirement}`,
	);
	return { checked: describeBase(base), by: by.sort() };
}

function describeBase(schema: AnySchema): Description {
	switch (schema.type) {
		case 'object':
			return {
				object: Object.fromEntries(
					Object.entries(schema.entries)
						.map(([name, entry]) => [name, describeSchema(entry)] as const)
						.sort(([one], [other]) => (one < other ? -1 : 1)),
				),
			};
		case 'array':
			return { array: describeSchema(schema.item) };
		case 'tuple':
			return { tuple: schema.items.map(describeSchema) };
		case 'record':
			return { record: describeSchema(schema.value) };
		case 'union':
			return { anyOf: schema.options.map(describeSchema) };
		case 'picklist':
			return { oneOf: [...schema.options].sort() };
		case 'literal':
			return { oneOf: [schema.literal] };
		case 'optional': {
			const { default: value } = schema;
			const known = typeof value === 'function' ? value() : value;
			return { optional: describeSchema(schema.wrapped), ...(known === undefined ? {} : { default: known }) };
		}
		case 'nullable':
			return { nullable: describeSchema(schema.wrapped) };
		default:
			return schema.type;
	}
}

/** Any value that was taken. Lists are short: the fields of one may have to differ from those of another. */
export function anyValueOf(description: Description): fc.Arbitrary<unknown> {
	if (typeof description === 'string') return basicValue(description);
	if ('object' in description) {
		const fields = Object.entries(description.object);
		const isOptional = (field: Description) => typeof field === 'object' && 'optional' in field;
		return fc.record(Object.fromEntries(fields.map(([name, field]) => [name, anyValueOf(field)])), {
			requiredKeys: fields.flatMap(([name, field]) => (isOptional(field) ? [] : name)),
		});
	}
	if ('array' in description) return fc.array(anyValueOf(description.array), { maxLength: 1 });
	if ('tuple' in description) return fc.tuple(...description.tuple.map(anyValueOf));
	if ('record' in description) return fc.dictionary(fc.string(), anyValueOf(description.record), { maxKeys: 2 });
	if ('anyOf' in description) return fc.oneof(...description.anyOf.map(anyValueOf));
	if ('oneOf' in description) return fc.constantFrom(...description.oneOf);
	if ('optional' in description) return anyValueOf(description.optional);
	if ('nullable' in description) return fc.option(anyValueOf(description.nullable));
	return checkedValue(description.checked, description.by);
}

function basicValue(type: string): fc.Arbitrary<unknown> {
	if (type === 'number') return fc.integer();
	if (type === 'string') return fc.string();
	return type === 'boolean' ? fc.boolean() : fc.constant(null);
}

function checkedValue(base: Description, by: string[]): fc.Arbitrary<unknown> {
	const bound = (name: string) => by.find((check) => check.startsWith(`${name}:`))?.split(':')[1];
	if (base !== 'number') return anyValueOf(base);
	return fc.integer({ min: Number(bound('min_value') ?? 0), max: Number(bound('max_value') ?? 2 ** 31) });
}

/** Why a later schema does not take all that an earlier one took; null where it does. @param path what is compared */
export function whyNarrower(before: Description, now: Description, path = ''): string | null {
	const isOptional = (each: Description) => typeof each === 'object' && 'optional' in each;
	if (typeof now === 'object' && 'optional' in now)
		return whyNarrower(
			typeof before === 'object' && 'optional' in before ? before.optional : before,
			now.optional,
			path,
		);
	if (isOptional(before)) return `${path} may no longer be missing`;
	if (typeof now === 'object' && 'nullable' in now)
		return whyNarrower(
			typeof before === 'object' && 'nullable' in before ? before.nullable : before,
			now.nullable,
			path,
		);
	if (typeof now === 'object' && 'checked' in now) {
		const [base, by] = typeof before === 'object' && 'checked' in before ? [before.checked, before.by] : [before, []];
		const added = now.by.find((check) => !by.includes(check));
		return added === undefined ? whyNarrower(base, now.checked, path) : `${path} is asked for ${added}`;
	}
	if (typeof before === 'object' && 'checked' in before) return whyNarrower(before.checked, now, path);
	if (typeof before === 'string' || typeof now === 'string')
		return before === now ? null : `${path} was ${JSON.stringify(before)}, and is ${JSON.stringify(now)}`;
	if ('object' in before && 'object' in now) {
		for (const [name, field] of Object.entries(before.object)) {
			// What is not asked for any more is ignored.
			const why = now.object[name] === undefined ? null : whyNarrower(field, now.object[name], `${path}.${name}`);
			if (why !== null) return why;
		}
		const added = Object.entries(now.object).find(([name, field]) => !(name in before.object) && !isOptional(field));
		return added ? `${path}.${added[0]} is new, and has no default` : null;
	}
	if ('array' in before && 'array' in now) return whyNarrower(before.array, now.array, `${path}[]`);
	if ('record' in before && 'record' in now) return whyNarrower(before.record, now.record, `${path}{}`);
	if ('oneOf' in before && 'oneOf' in now) {
		const missing = before.oneOf.find((each) => !now.oneOf.includes(each));
		return missing === undefined ? null : `${path} may no longer be ${JSON.stringify(missing)}`;
	}
	if ('anyOf' in now) {
		const options = ('anyOf' in before ? before.anyOf : [before]).flatMap(byType);
		const unmet = options.find((option) => now.anyOf.every((each) => whyNarrower(option, each, path) !== null));
		return unmet === undefined ? null : `${path} may no longer be ${JSON.stringify(unmet)}`;
	}
	return JSON.stringify(before) === JSON.stringify(now) ? null : `${path} is another kind of value`;
}

/** An object for each of the types that one may be of. */
function byType(option: Description): Description[] {
	if (typeof option !== 'object' || !('object' in option)) return [option];
	const { type } = option.object;
	if (typeof type !== 'object' || !('oneOf' in type)) return [option];
	return type.oneOf.map((each) => ({ object: { ...option.object, type: { oneOf: [each] } } }));
}
