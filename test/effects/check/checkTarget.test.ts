import { expect, it } from 'vitest';
import { checkTarget, whyNoCheck } from '../../../src/effects/check/checkTarget.ts';

it.each([
	['/', { isTls: false, host: 'localhost', path: '/' }],
	['/up?deep=1&x=%20', { isTls: false, host: 'localhost', path: '/up?deep=1&x=%20' }],
	['http:///up', { isTls: false, host: 'localhost', path: '/up' }],
	['http://app.example.org:8080/up', { isTls: false, host: 'app.example.org:8080', path: '/up' }],
	['https:///up', { isTls: true, host: 'localhost', path: '/up' }],
	['https://[::1]:8443/', { isTls: true, host: '[::1]:8443', path: '/' }],
])('%s requests what it says', (text, target) => {
	expect(checkTarget(text)).toEqual(target);
	expect(whyNoCheck(text)).toBeNull();
});

it.each([
	'up',
	'//up\n',
	'/a b',
	'/up#x',
	'/ü',
	'ftp:///up',
	'https://',
	'http://host',
	'http://a b/up',
	'http://a@b/up',
])('%j is refused', (text) => {
	expect(checkTarget(text)).toBeNull();
	expect(whyNoCheck(text)).toBe('/PATH, http://HOST/PATH or https://HOST/PATH');
});

it('nothing is no check', () => {
	expect(whyNoCheck('')).toBeNull();
});
