/** How many keys one subscription may name. Apart from the schemas, which a browser's watch does not load. */
export const MAX_KEYS = 1_000;
