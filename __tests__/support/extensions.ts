import { type ExtensionOptions, settleClientOptions } from '../../transport/options.ts';

/** Every extension switched off: what is left is what River speaks. */
export const noExtensions: ExtensionOptions = Object.fromEntries(
  Object.keys(settleClientOptions({}).extensions).map((name) => [name, false]),
);
