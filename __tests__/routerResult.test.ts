import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { describe, expect, test } from 'vitest';
import { flattenErrorType, ReaderErrorSchema } from '../router/errorSchemas.ts';
import { CallError } from '../router/errors.ts';
import type { LiveProcedure } from '../router/openCall.ts';
import { Procedure } from '../router/procedures.ts';
import { InvalidResponseError, judgeResponse, unsendable } from '../router/response.ts';
import { Err, isResult, Ok, unwrapOrThrow } from '../router/result.ts';
import { createRoutes } from '../router/routes.ts';
import { createServiceSchema } from '../router/services.ts';
import { MessageTooLargeError, SessionBufferFullError } from '../transport/errors.ts';

describe('a result', () => {
  test('is what the wire says it is', () => {
    expect(Ok({ n: 1 })).toEqual({ ok: true, payload: { n: 1 } });
    expect(Err({ code: 'X', message: 'x' })).toEqual({ ok: false, payload: { code: 'X', message: 'x' } });
  });

  test.each<[unknown, boolean]>([
    [{ ok: true, payload: 1 }, true],
    [{ ok: true }, true],
    [{ ok: false, payload: { code: 'X', message: 'x' } }, true],
    [{ ok: false, payload: { code: 'X', message: 'x', extras: 3 } }, true],
    [{ ok: false }, false],
    [{ ok: false, payload: { code: 3, message: 'x' } }, false],
    [{ ok: false, payload: { code: 'X' } }, false],
    [{ ok: 'true' }, false],
    [{ type: 'CLOSE' }, false],
    [null, false],
    [undefined, false],
    ['x', false],
  ])('%j: %s', (value, expected) => {
    expect(isResult(value)).toBe(expected);
  });

  test('is unwrapped, or thrown with its code', () => {
    expect(unwrapOrThrow(Ok(3))).toBe(3);
    expect(() => unwrapOrThrow(Err({ code: 'X', message: 'no' }))).toThrow(CallError);
    expect(() => unwrapOrThrow(Err({ code: 'X', message: 'no' }))).toThrow('no');
  });
});

describe('error schemas', () => {
  const A = Type.Object({ code: Type.Literal('A'), message: Type.String() });
  const B = Type.Object({ code: Type.Literal('B'), message: Type.String() });

  test('describe every reserved error', () => {
    const extras = { firstValidationErrors: [{ path: '/n', message: 'Expected number' }], totalErrors: 1 };
    for (const error of [
      { code: 'UNCAUGHT_ERROR', message: '' },
      { code: 'UNEXPECTED_DISCONNECT', message: '' },
      { code: 'INVALID_REQUEST', message: '' },
      { code: 'INVALID_REQUEST', message: '', extras },
      { code: 'CANCEL', message: '' },
      { code: 'DEADLINE_EXCEEDED', message: '' },
      { code: 'SESSION_BUFFER_FULL', message: '' },
    ]) {
      expect(Value.Check(ReaderErrorSchema, error)).toBe(true);
    }
  });

  test('are flattened to any depth', () => {
    const flat = flattenErrorType(Type.Union([A, Type.Union([B, Type.Union([A, B])])]));
    expect(flat.anyOf).toEqual([A, B, A, B]);
    expect(flattenErrorType(A)).toBe(A);
  });
});

describe('what a handler answers', () => {
  const responseError = Type.Object({ code: Type.Literal('X'), message: Type.String() });
  function procedureOf(responseData = Type.Object({ n: Type.Number() })): LiveProcedure {
    const service = createServiceSchema().define({
      p: Procedure.rpc({ requestInit: Type.Object({}), responseData, responseError, handler: () => Ok({ n: 1 }) }),
    });
    const procedure = createRoutes({ s: service }, {}, []).routes.get('s')?.get('p');
    if (procedure === undefined) throw new Error('no procedure');
    return procedure;
  }

  test.each([[Ok({ n: 1 })], [Err({ code: 'X', message: 'x' })], [Err({ code: 'CANCEL', message: 'x' })]])(
    'passes as it is: %j',
    (response) => {
      expect(judgeResponse(procedureOf(), response, false)).toBe(response);
    },
  );

  test.each([
    [undefined],
    [{ n: 1 }],
    [Ok({ n: 'x' })],
    [Ok(undefined)],
    [Err({ code: 'Y', message: 'x' })],
    [Err({ code: 'UNEXPECTED_DISCONNECT', message: 'x' })],
  ])('is the fault of the server where it does not fit: %j', (response) => {
    expect(() => judgeResponse(procedureOf(), response, false)).toThrow(InvalidResponseError);
  });

  test('is described without its values', () => {
    const secret = 'hunter2';
    const judge = () => judgeResponse(procedureOf(), Ok({ n: secret }), false);
    expect(judge).toThrow('responseData: /n: Expected number');
    expect(judge).not.toThrow(secret);
  });

  test('loses what is not declared only on request, and the original is left alone', () => {
    const response = Ok({ n: 1, passwordHash: 'x' });
    expect(judgeResponse(procedureOf(), response, false)).toEqual(response);
    expect(judgeResponse(procedureOf(), response, true)).toEqual(Ok({ n: 1 }));
    expect(response.payload.passwordHash).toBe('x');
    const failure = Err({ code: 'X', message: 'x', stack: 'y' });
    expect(judgeResponse(procedureOf(), failure, true)).toEqual(Err({ code: 'X', message: 'x' }));
  });
});

describe('a response that cannot be sent', () => {
  test.each<[string, unknown, boolean, string, string]>([
    [
      'full, to a peer with extensions',
      new SessionBufferFullError('2 unconfirmed bytes would exceed 1'),
      true,
      'SESSION_BUFFER_FULL',
      'unconfirmed',
    ],
    [
      'full, to a River peer',
      new SessionBufferFullError('2 unconfirmed bytes would exceed 1'),
      false,
      'UNCAUGHT_ERROR',
      'unconfirmed',
    ],
    ['too large', new MessageTooLargeError(2, 1), true, 'UNCAUGHT_ERROR', 'too large'],
    ['anything else', new Error('secret'), true, 'UNCAUGHT_ERROR', 'cannot be encoded'],
  ])('because it is %s', (_why, error, speaksExtensions, code, text) => {
    const payload = unsendable(error, speaksExtensions);
    expect(payload.code).toBe(code);
    expect(payload.message).toContain(text);
  });
});
