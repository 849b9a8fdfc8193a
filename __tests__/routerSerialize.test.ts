import { Type } from '@sinclair/typebox';
import { expect, test } from 'vitest';
import { ReaderErrorSchema } from '../router/errorSchemas.ts';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { serializeSchema } from '../router/serialize.ts';
import { createServiceSchema } from '../router/services.ts';

const reserved = JSON.parse(JSON.stringify(ReaderErrorSchema.anyOf)) as unknown[]; // plain JSON, as everything serialised

const Service = createServiceSchema();
const services = {
  math: Service.define({
    add: Procedure.rpc({
      description: 'Adds.',
      requestInit: Type.Object({ n: Type.Number({ minimum: 0 }) }),
      responseData: Type.Object({ result: Type.Number() }),
      handler: () => Ok({ result: 1 }),
    }),
    divide: Procedure.upload({
      requestInit: Type.Object({}),
      requestData: Type.Object({ chunk: Type.Uint8Array() }),
      responseData: Type.Object({}),
      responseError: Type.Union([
        Type.Object({ code: Type.Literal('A'), message: Type.String() }),
        Type.Union([Type.Object({ code: Type.Literal('B'), message: Type.String() })]),
      ]),
      handler: async () => Ok({}),
    }),
    follow: Procedure.subscription({ requestInit: Type.Object({}), responseData: Type.Object({}), handler() {} }),
    talk: Procedure.stream({
      requestInit: Type.Object({}),
      requestData: Type.String(),
      responseData: Type.String(),
      handler() {},
    }),
  }),
};

test('services become plain JSON Schema, one entry a procedure', () => {
  const { services: serialized } = serializeSchema(services);
  expect(serialized['math']?.procedures['add']).toStrictEqual({
    type: 'rpc',
    description: 'Adds.',
    init: { type: 'object', required: ['n'], properties: { n: { type: 'number', minimum: 0 } } },
    output: { type: 'object', required: ['result'], properties: { result: { type: 'number' } } },
    errors: { anyOf: reserved },
  });
  expect(serialized['math']?.procedures['talk']).toStrictEqual({
    type: 'stream',
    init: { type: 'object', properties: {} },
    input: { type: 'string' },
    output: { type: 'string' },
    errors: { anyOf: reserved },
  });
  expect(JSON.parse(JSON.stringify(serialized))).toStrictEqual(serialized);
});

test('declared errors stand beside the reserved ones in one flat union', () => {
  const errors = serializeSchema(services).services['math']?.procedures['divide']?.errors;
  const declared = ['A', 'B'].map((code) => ({
    type: 'object',
    required: ['code', 'message'],
    properties: { code: { type: 'string', const: code }, message: { type: 'string' } },
  }));
  expect(errors).toStrictEqual({ anyOf: [...declared, ...reserved] });
});

test('the handshake is described where it is given', () => {
  expect(serializeSchema({})).toStrictEqual({ services: {} });
  expect(serializeSchema({}, Type.Object({ token: Type.String() }))).toStrictEqual({
    services: {},
    handshakeSchema: { type: 'object', required: ['token'], properties: { token: { type: 'string' } } },
  });
});
