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

/** Wrappers of a state's methods, made once: a method taken from the handle is the same function every time. */
const wrappersOf = new WeakMap<object, Wrapper[]>();

/** Numbers of stale states that were printed: two of the same kind are still two. */
const serials = new WeakMap<object, number>();
let lastSerial = 0;

function serialOf(state: object): number {
  let serial = serials.get(state);
  if (serial === undefined) {
    serial = ++lastSerial;
    serials.set(state, serial);
  }
  return serial;
}

/** By this the state behind a handle is reached; it never leaves this module. */
const behind = Symbol('behind');

function guard(target: Consumable, action: string, property: string | symbol): void {
  if (target._isConsumed) throw new StaleHandleError(target.state, action, String(property));
}

/**
 * A stale handle has a tag of its own, by which assertion libraries tell it from every other value and print it,
 * before they would list its keys.
 */
function tagOf(target: Consumable, property: string | symbol): unknown {
  const isTag = property === Symbol.toStringTag;
  if (property === '$$typeof') return printsItself;
  if (!isTag && property !== chaiInspect && property !== 'toAsymmetricMatcher') return undefined;
  const tag = `stale ${target.state} ${serialOf(target)}`;
  return isTag ? tag : () => `[${tag}]`;
}

/** One for all handles: a handle costs its proxy and nothing else. */
const revocation: Required<Pick<ProxyHandler<Consumable>, Trap>> = {
  get(target, property) {
    if (property === behind) return target;
    if (target._isConsumed) {
      const tag = tagOf(target, property);
      if (tag !== undefined) return tag;
    }
    if (!isAlwaysReadable(property)) guard(target, 'read', property);
    // The raw receiver: getters and methods run on the state itself, so #private fields work and cost nothing.
    const value: unknown = Reflect.get(target, property, target);
    return typeof value === 'function' && property !== 'constructor' ? wrapped(target, property, value) : value;
  },

  set(target, property, value) {
    guard(target, 'set', property);
    return Reflect.set(target, property, value, target);
  },

  has(target, property) {
    if (property === chaiInspect) return target._isConsumed;
    if (!isAlwaysReadable(property)) guard(target, 'look for', property);
    return Reflect.has(target, property);
  },

  deleteProperty(target, property) {
    guard(target, 'delete', property);
    return Reflect.deleteProperty(target, property);
  },

  defineProperty(target, property, descriptor) {
    guard(target, 'define', property);
    return Reflect.defineProperty(target, property, descriptor);
  },

  ownKeys(target) {
    guard(target, 'list the keys of', '*');
    return Reflect.ownKeys(target);
  },

  // Through the descriptor alone a stale handle would give out the live core.
  getOwnPropertyDescriptor(target, property) {
    guard(target, 'describe', property);
    return Reflect.getOwnPropertyDescriptor(target, property);
  },

  setPrototypeOf(target, prototype) {
    guard(target, 'set the prototype of', '*');
    return Reflect.setPrototypeOf(target, prototype);
  },

  preventExtensions(target) {
    guard(target, 'prevent extensions of', '*');
    return Reflect.preventExtensions(target);
  },
};

type Trap =
  | 'get'
  | 'set'
  | 'has'
  | 'deleteProperty'
  | 'defineProperty'
  | 'ownKeys'
  | 'getOwnPropertyDescriptor'
  | 'setPrototypeOf'
  | 'preventExtensions';

// biome-ignore lint/complexity/noBannedTypes: a method of which nothing is known but that it can be applied
function wrapped(target: Consumable, property: string | symbol, method: Function): Method {
  let wrappers = wrappersOf.get(target);
  if (wrappers === undefined) {
    wrappers = [];
    wrappersOf.set(target, wrappers);
  }
  // Few, and far smaller than a map.
  const known = wrappers.find((one) => one.property === property && one.method === method);
  if (known !== undefined) return known.wrapper;
  const wrapper: Method = (...args) => {
    if (!isAlwaysReadable(property)) guard(target, 'call', property);
    return Reflect.apply(method, target, args);
  };
  wrappers.push({ property, method, wrapper });
  return wrapper;
}

/** The only way in which anybody outside a state's class holds the state. It throws once the state is consumed. */
export function createHandle<T extends object & Consumable>(state: T): T {
  return new Proxy(state, revocation) as T; // a proxy of T, by a handler that fits every state
}

/**
 * For the owner alone: the state behind a handle, to call it once without a wrapper that lives as long as the state.
 * @throws {StaleHandleError}
 */
export function stateBehind<T extends Consumable>(handle: T): T {
  const state = Reflect.get(handle, behind) as T; // the trap above gives out its target
  guard(state, 'look behind', 'handle');
  return state;
}

/** What a consumed state has in place of its core, so that a raw method resumed after an `await` cannot touch the live one. */
export function movedCore<T extends object>(stateName: string): T {
  const fail = (action: string) => (_target: object, property: string | symbol) => {
    throw new StaleHandleError(stateName, action, String(property));
  };
  const sentinel = new Proxy({}, { get: fail('read the moved core:'), set: fail('set on the moved core:') });
  return sentinel as T; // deliberately no T: every use of it throws
}
