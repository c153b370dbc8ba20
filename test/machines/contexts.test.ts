import { expect, it } from 'vitest';
import { newContext as newChild } from '../../src/machines/charts/childContext.ts';
import { newContext as newGeneration } from '../../src/machines/charts/generationContext.ts';
import { newContext as supervisor } from '../../src/machines/charts/supervisorContext.ts';
import { usualPlan as plan } from '../../src/machines/facts/facts.ts';

const child = newChild({ child: 1, generation: 1, index: 0, plan, isGated: false });
const generation = newGeneration({ generation: 1, plan, firstChild: 1, isGated: false, isBaked: false });

// xstate copies a context at each assign with Object.assign({}, context, change). In Node 20 a copy of 19 fields takes
// 0.4 us, and one of 20 fields 7 us.
it.each(Object.entries({ child, generation, supervisor }))(
	'the context of a %s has fewer than 20 fields',
	(_, context) => {
		expect(Object.keys(context).length).toBeLessThan(20);
	},
);
