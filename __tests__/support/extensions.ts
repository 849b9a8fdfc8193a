import { type ExtensionOptions, settleClientOptions } from '../../transport/options.ts';

/** Every extension spoken, whatever a run of all tests does without. */
export const allExtensions: ExtensionOptions = Object.fromEntries(
  Object.keys(settleClientOptions({}).extensions).map((name) => [name, true]),
);

/** Every extension switched off: what is left is what River speaks. */
export const noExtensions: ExtensionOptions = Object.fromEntries(
  Object.keys(settleClientOptions({}).extensions).map((name) => [name, false]),
);
