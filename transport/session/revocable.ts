import { StaleHandleError } from '../errors.ts';

/** What a state must show so that its handle can judge it. */
export interface Consumable {
  readonly state: string;
  readonly _isConsumed: boolean;
}

/**
 * Readable on a stale handle: what identifies it, what `await` and `JSON.stringify` ask for, and what printers and
 * assertion libraries probe before they print a value.
 */
const alwaysReadable: ReadonlySet<string> = new Set([
  'id',
  'state',
  '_isConsumed',
  'then',
  'toJSON',
  'constructor',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
  'tagName',
  '_isMockFunction',
  '@@__IMMUTABLE_ITERABLE__@@',
  '@@__IMMUTABLE_RECORD__@@',
  'inspect',
  'toString',
  'valueOf',
]);

/** chai's printer asks for it; a printer that finds it looks at nothing else. */
const chaiInspect = Symbol.for('chai/inspect');
/** The `$$typeof` of what Jest's and Vitest's printer lets print itself, through `toAsymmetricMatcher`. */
const printsItself = Symbol.for('jest.asymmetricMatcher');

const wellKnownSymbols: ReadonlySet<symbol> = new Set(
  Object.getOwnPropertyNames(Symbol)
    .map((name): unknown => Reflect.get(Symbol, name))
    .filter((value): value is symbol => typeof value === 'symbol'),
);

function isAlwaysReadable(property: string | symbol): boolean {
  if (typeof property === 'string') return alwaysReadable.has(property);
  return wellKnownSymbols.has(property) || property.description === 'nodejs.util.inspect.custom';
}

type Method = (...args: unknown[]) => unknown;

interface Wrapper {
  readonly property: string | symbol;
  readonly method: unknown;
  readonly wrapper: Method;
}

/** Handles made so far: two stale ones of the same state are still two. */
let handles = 0;

class RevocationHandler<T extends Consumable> implements ProxyHandler<T> {
  readonly #serial = ++handles;
  /** Wrappers by name, made once: a method taken from the handle is the same function every time. */
  readonly #wrappers: Wrapper[] = [];

  #guard(target: T, action: string, property: string | symbol): void {
    if (target._isConsumed) throw new StaleHandleError(target.state, action, String(property));
  }

  /**
   * A stale handle has a tag of its own, by which assertion libraries tell it from every other value and print it,
   * before they would list its keys.
   */
  #tagOf(target: T, property: string | symbol): unknown {
    const tag = `stale ${target.state} ${this.#serial}`;
    if (property === Symbol.toStringTag) return tag;
    if (property === '$$typeof') return printsItself;
    if (property === chaiInspect || property === 'toAsymmetricMatcher') return () => `[${tag}]`;
    return undefined;
  }

  get(target: T, property: string | symbol): unknown {
    if (target._isConsumed) {
      const tag = this.#tagOf(target, property);
      if (tag !== undefined) return tag;
    }
    if (!isAlwaysReadable(property)) this.#guard(target, 'read', property);
    // The raw receiver: getters and methods run on the state itself, so #private fields work and cost nothing.
    const value: unknown = Reflect.get(target, property, target);
    if (typeof value !== 'function' || property === 'constructor') return value;
    // Few, and far smaller than a map.
    const known = this.#wrappers.find((one) => one.property === property && one.method === value);
    if (known !== undefined) return known.wrapper;
    const wrapper: Method = (...args) => {
      if (!isAlwaysReadable(property)) this.#guard(target, 'call', property);
      return Reflect.apply(value, target, args);
    };
    this.#wrappers.push({ property, method: value, wrapper });
    return wrapper;
  }

  set(target: T, property: string | symbol, value: unknown): boolean {
    this.#guard(target, 'set', property);
    return Reflect.set(target, property, value, target);
  }

  has(target: T, property: string | symbol): boolean {
    if (property === chaiInspect) return target._isConsumed;
    if (!isAlwaysReadable(property)) this.#guard(target, 'look for', property);
    return Reflect.has(target, property);
  }

  deleteProperty(target: T, property: string | symbol): boolean {
    this.#guard(target, 'delete', property);
    return Reflect.deleteProperty(target, property);
  }

  defineProperty(target: T, property: string | symbol, descriptor: PropertyDescriptor): boolean {
    this.#guard(target, 'define', property);
    return Reflect.defineProperty(target, property, descriptor);
  }

  ownKeys(target: T): (string | symbol)[] {
    this.#guard(target, 'list the keys of', '*');
    return Reflect.ownKeys(target);
  }

  // Through the descriptor alone a stale handle would give out the live core.
  getOwnPropertyDescriptor(target: T, property: string | symbol): PropertyDescriptor | undefined {
    this.#guard(target, 'describe', property);
    return Reflect.getOwnPropertyDescriptor(target, property);
  }

  setPrototypeOf(target: T, prototype: object | null): boolean {
    this.#guard(target, 'set the prototype of', '*');
    return Reflect.setPrototypeOf(target, prototype);
  }

  preventExtensions(target: T): boolean {
    this.#guard(target, 'prevent extensions of', '*');
    return Reflect.preventExtensions(target);
  }
}

/** The only way in which anybody outside a state's class holds the state. It throws once the state is consumed. */
export function createHandle<T extends object & Consumable>(state: T): T {
  return new Proxy(state, new RevocationHandler<T>());
}

/** What a consumed state has in place of its core, so that a raw method resumed after an `await` cannot touch the live one. */
export function movedCore<T extends object>(stateName: string): T {
  const fail = (action: string) => (_target: object, property: string | symbol) => {
    throw new StaleHandleError(stateName, action, String(property));
  };
  const sentinel = new Proxy({}, { get: fail('read the moved core:'), set: fail('set on the moved core:') });
  return sentinel as T; // deliberately no T: every use of it throws
}
