import * as otel from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Type } from '@sinclair/typebox';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createClient } from '../router/client.ts';
import { Procedure } from '../router/procedures.ts';
import { Ok } from '../router/result.ts';
import { createServer } from '../router/server.ts';
import { createServiceSchema } from '../router/services.ts';
import { createHarness } from '../testUtil/harness.ts';
import { matrix } from '../testUtil/matrix.ts';

const exporter = new InMemorySpanExporter();

beforeAll(() => {
  otel.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  otel.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
});
afterAll(() => {
  otel.propagation.disable();
  otel.trace.disable();
});
beforeEach(() => exporter.reset());

const Service = createServiceSchema();
const traced = Service.define({
  ok: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.Object({}),
    async handler({ ctx }) {
      ctx.span.setAttribute('seen', true);
      return Ok({});
    },
  }),
  boom: Procedure.rpc({
    requestInit: Type.Object({}),
    responseData: Type.Object({}),
    async handler() {
      throw new Error('kaput');
    },
  }),
});

function named(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

function only(name: string): ReadableSpan {
  const [span, ...more] = named(name);
  if (span === undefined || more.length > 0)
    throw new Error(`expected one span '${name}', got ${more.length + (span ? 1 : 0)}`);
  return span;
}

const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;

describe.each(matrix)('spans over $name', ({ transport, codec }) => {
  test('the server’s span of a call is a child of the client’s, across the wire, and both end once', async () => {
    await using harness = await createHarness({ transport, codec });
    createServer(harness.server({ telemetry: otel }), { traced });
    const client = createClient<{ traced: typeof traced }>(harness.client({ telemetry: otel }), 'SERVER');
    await client.traced.ok.rpc({});
    const near = only('client.traced.ok');
    const far = only('server.traced.ok');
    expect(parentOf(far)).toBe(near.spanContext().spanId);
    expect(far.spanContext().traceId).toBe(near.spanContext().traceId);
    expect(far.attributes['seen']).toBe(true);
    expect(near.status.code).toBe(otel.SpanStatusCode.UNSET);
  });

  test('a handler that throws fails both spans, and the server’s has the exception', async () => {
    await using harness = await createHarness({ transport, codec });
    createServer(harness.server({ telemetry: otel }), { traced });
    const client = createClient<{ traced: typeof traced }>(harness.client({ telemetry: otel }), 'SERVER');
    await client.traced.boom.rpc({});
    expect(only('client.traced.boom').status.code).toBe(otel.SpanStatusCode.ERROR);
    const far = only('server.traced.boom');
    expect(far.status.code).toBe(otel.SpanStatusCode.ERROR);
    expect(far.events.map((event) => event.attributes?.['exception.message'])).toContain('kaput');
  });

  test('a session has one span over all its connections, and the server’s session is its child', async () => {
    await using harness = await createHarness({ transport, codec });
    const server = harness.server({ telemetry: otel });
    const client = harness.client({ telemetry: otel });
    client.connect('SERVER');
    await harness.settled();
    harness.link.cut();
    await harness.advance(1_000);
    expect(named('holdfast.session')).toEqual([]);
    client.close();
    server.close();
    const [near, far] = named('holdfast.session');
    expect(named('holdfast.session')).toHaveLength(2);
    expect(far !== undefined && parentOf(far)).toBe(near?.spanContext().spanId);
    const connections = named('holdfast.connection');
    expect(connections).toHaveLength(4);
    for (const connection of connections) {
      expect([near?.spanContext().spanId, far?.spanContext().spanId]).toContain(parentOf(connection));
    }
  });

  test('without an API no span is made and the wire carries empty trace context', async () => {
    await using harness = await createHarness({ transport, codec });
    createServer(harness.server(), { traced });
    const client = createClient<{ traced: typeof traced }>(harness.client(), 'SERVER');
    await client.traced.ok.rpc({});
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});
