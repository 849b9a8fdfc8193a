import type { FaultClass } from './faultClasses.ts';

/** What of a seed's plan is to happen. Whatever is undefined stays as the seed has it. */
export interface Narrowing<Kind extends string = FaultClass> {
  /** Only faults of these classes. */
  readonly kinds?: readonly Kind[] | undefined;
  /** Only faults with these numbers. */
  readonly faults?: readonly number[] | undefined;
  /** Only so many clients. */
  readonly clients?: number | undefined;
  /** Only so many milliseconds of faults. */
  readonly durationMs?: number | undefined;
}

/** A plan of faults that less can be made of. */
export interface Narrowable<Kind extends string> {
  readonly kinds: readonly Kind[];
  readonly faults: readonly {
    readonly id: number;
    readonly kind: Kind;
    readonly client: number;
    readonly at: number;
  }[];
  readonly clients: number;
  readonly durationMs: number;
}

/** A plan with less in it; what is left happens as before. */
export function narrow<Kind extends string, P extends Narrowable<Kind>>(
  plan: P,
  { kinds = plan.kinds, faults, clients = plan.clients, durationMs = plan.durationMs }: Narrowing<Kind>,
): P {
  const kept = plan.faults.filter(
    ({ id, kind, client, at }) =>
      kinds.includes(kind) && (faults?.includes(id) ?? true) && client < clients && at < durationMs,
  );
  return { ...plan, kinds: plan.kinds.filter((kind) => kinds.includes(kind)), faults: kept, clients, durationMs };
}
