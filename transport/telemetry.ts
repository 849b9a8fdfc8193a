import { NO_TRACE, type PropagationContext } from './message.ts';

/** The part of an OpenTelemetry span that handlers and the library use. */
export interface Span {
  setAttribute(key: string, value: string | number | boolean): unknown;
  addEvent(name: string, attributes?: Record<string, string | number | boolean>): unknown;
  recordException(error: Error): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/**
 * The part of `@opentelemetry/api` that is used, by shape, so that neither our types nor our bundle depend on it:
 * `import * as otel from '@opentelemetry/api'` and pass `{ telemetry: otel }`.
 */
export interface OpenTelemetryApi {
  trace: {
    // biome-ignore-start lint/suspicious/noExplicitAny: OpenTelemetry's Context and Tracer are opaque to us; `any` is what lets every 1.x version of the API fit
    getTracer(name: string, version?: string): any;
    setSpan(context: any, span: any): any;
  };
  context: { active(): any; with(context: any, fn: () => any): any };
  propagation: {
    inject(context: any, carrier: Record<string, string>): void;
    extract(context: any, carrier: Record<string, string>): any;
  };
  // biome-ignore-end lint/suspicious/noExplicitAny: see above
}

/** OpenTelemetry's numbers for who started a span. */
const kinds = { internal: 0, server: 1, client: 2 } as const;
const STATUS_ERROR = 2;

/** A span together with its trace context. */
export interface TracedSpan {
  readonly span: Span;
  /** What to send along, so that the peer's spans become children of this one. */
  readonly propagation: PropagationContext;
  /** Runs `fn` with this span as the active one. */
  run<T>(fn: () => T): T;
  fail(error: unknown): void;
}

/** Starts spans, or does nothing at no cost where no API was handed in. */
export interface Telemetry {
  startSpan(
    name: string,
    kind: keyof typeof kinds,
    attributes: Record<string, string | number | boolean>,
    parent?: TracedSpan | PropagationContext | undefined,
  ): TracedSpan;
}

const noSpan: Span = {
  setAttribute: () => noSpan,
  addEvent: () => noSpan,
  recordException: () => undefined,
  setStatus: () => noSpan,
  end: () => undefined,
};

/** The span that nobody listens to. */
export const NO_SPAN: TracedSpan = { span: noSpan, propagation: NO_TRACE, run: (fn) => fn(), fail: () => undefined };

/** Tracing switched off. */
export const noTelemetry: Telemetry = { startSpan: () => NO_SPAN };

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

class ApiSpan implements TracedSpan {
  readonly span: Span;
  readonly #api: OpenTelemetryApi;
  readonly #context: unknown;

  constructor(api: OpenTelemetryApi, span: Span, context: unknown) {
    this.#api = api;
    this.span = span;
    this.#context = context;
  }

  get propagation(): PropagationContext {
    const carrier: Record<string, string> = {};
    this.#api.propagation.inject(this.#context, carrier);
    return { traceparent: carrier['traceparent'] ?? '', tracestate: carrier['tracestate'] ?? '' };
  }

  run<T>(fn: () => T): T {
    return this.#api.context.with(this.#context, fn);
  }

  fail(error: unknown): void {
    const cause = errorOf(error);
    this.span.recordException(cause);
    this.span.setStatus({ code: STATUS_ERROR, message: cause.message });
  }

  childContext(): unknown {
    return this.#context;
  }
}

/** Adapts `@opentelemetry/api`, or switches tracing off where there is none. */
export function createTelemetry(api: OpenTelemetryApi | undefined): Telemetry {
  if (api === undefined) return noTelemetry;
  const tracer = api.trace.getTracer('holdfast');
  return {
    startSpan(name, kind, attributes, parent) {
      let context: unknown = api.context.active();
      if (parent instanceof ApiSpan) context = parent.childContext();
      else if (parent !== undefined && 'traceparent' in parent && parent.traceparent !== '') {
        context = api.propagation.extract(api.context.active(), { ...parent });
      }
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, context);
      return new ApiSpan(api, span, api.trace.setSpan(context, span));
    },
  };
}
