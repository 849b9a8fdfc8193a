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

/** A span together with its trace context. None of its methods throws, whatever the API does. */
export interface TracedSpan {
  readonly span: Span;
  /** What to send along, so that the peer's spans become children of this one. */
  readonly propagation: PropagationContext;
  /** Runs `fn` with this span as the active one. */
  run<T>(fn: () => T): T;
  fail(error: unknown): void;
  end(): void;
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
export const NO_SPAN: TracedSpan = {
  span: noSpan,
  propagation: NO_TRACE,
  run: (fn) => fn(),
  fail: () => undefined,
  end: () => undefined,
};

/** Tracing switched off. */
export const noTelemetry: Telemetry = { startSpan: () => NO_SPAN };

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Tracing must not break what it watches: an API that throws traces nothing, and that is all. */
function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
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
    return attempt(() => {
      const carrier: Record<string, string> = {};
      this.#api.propagation.inject(this.#context, carrier);
      return { traceparent: carrier['traceparent'] ?? '', tracestate: carrier['tracestate'] ?? '' };
    }, NO_TRACE);
  }

  run<T>(fn: () => T): T {
    // Whether it threw or the API did, `fn` runs once, and what it throws is its caller's.
    let outcome: { value: T } | { thrown: unknown } | undefined;
    const once = (): void => {
      try {
        outcome = { value: fn() };
      } catch (thrown) {
        outcome = { thrown };
      }
    };
    attempt(() => void this.#api.context.with(this.#context, once), undefined);
    if (outcome === undefined) return fn();
    if ('thrown' in outcome) throw outcome.thrown;
    return outcome.value;
  }

  fail(error: unknown): void {
    attempt(() => {
      const cause = errorOf(error);
      this.span.recordException(cause);
      this.span.setStatus({ code: STATUS_ERROR, message: cause.message });
    }, undefined);
  }

  end(): void {
    attempt(() => this.span.end(), undefined);
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
    startSpan: (name, kind, attributes, parent) =>
      attempt(() => {
        let context: unknown = api.context.active();
        if (parent instanceof ApiSpan) context = parent.childContext();
        else if (parent !== undefined && 'traceparent' in parent && parent.traceparent !== '') {
          context = api.propagation.extract(api.context.active(), { ...parent });
        }
        const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, context);
        return new ApiSpan(api, span, api.trace.setSpan(context, span));
      }, NO_SPAN),
  };
}
