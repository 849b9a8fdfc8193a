/** What one client knows at the end. */
export interface ClientResult {
  /** Messages of the application, by direction, as their sender counted them. */
  sent: number;
  /** As their receiver counted them. */
  received: number;
  duplicated: number;
  outOfOrder: number;
  sha256: string;
  size: number;
  sessions: number;
}

/** What the processes of the demo tell the one that prints. */
export type Report =
  | { type: 'listening'; port: number }
  | { type: 'state'; side: 'client' | 'server'; link: string; state: string; resent: number }
  | { type: 'confirmed'; link: string; bytes: number }
  | { type: 'uploading'; link: string; isOn: boolean }
  | { type: 'result'; link: string; result: ClientResult };

/** Tells it. */
export function report(message: Report): void {
  process.send?.(message);
}
