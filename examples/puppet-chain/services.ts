import { Type } from '@sinclair/typebox';
import { createServiceSchema, type Infer } from 'holdfast';
import { type Cache, cacheProcedures } from 'holdfast/cache';

export const Puppet = Type.Object({ pose: Type.Integer() });
export type Puppet = Infer<typeof Puppet>;

/** What every hop but the last serves to the next. In life `authorize` looks at who asks. */
export function serve(puppets: Cache<Puppet>) {
  const Service = createServiceSchema();
  return { puppets: Service.define(cacheProcedures(puppets, { value: Puppet, authorize: () => true })) };
}

export type Services = ReturnType<typeof serve>;
