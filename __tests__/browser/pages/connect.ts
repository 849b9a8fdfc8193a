import { type ConnectStatus, connect } from 'holdfast';
import { callEveryKind, type EveryKind } from '../everyKind.ts';
import type { Services } from '../services.ts';
import { inOwnTask } from './ownTask.ts';

/** What a page came to that calls `connect` and nothing else. */
export interface ConnectOutcome {
  everyKind: EveryKind;
  statuses: ConnectStatus[];
}

async function connectAndCall(url: string): Promise<ConnectOutcome> {
  const { client, status, onStatus, close } = connect<Services>(url);
  const statuses = [status()];
  onStatus((changed) => statuses.push(changed));
  const everyKind = await callEveryKind(client);
  close();
  return { everyKind, statuses };
}

declare global {
  /** Of the page `connect` only. */
  var connectPage: { connectAndCall: typeof connectAndCall };
}

globalThis.connectPage = { connectAndCall: (url) => inOwnTask(() => connectAndCall(url)) };
