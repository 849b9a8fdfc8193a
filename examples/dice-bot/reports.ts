export type ServerReport = { type: 'listening'; port: number };

export type BotReport =
  /** The dice fell, or, delivered again, what they had shown was looked up. */
  | { type: 'rolled'; line: string; dice: number[]; isNew: boolean }
  | { type: 'answered'; line: string; isNew: boolean }
  /** The connection is there, again or for the first time. */
  | { type: 'connected'; lostSessions: number }
  | { type: 'roster'; people: readonly string[] }
  | { type: 'kicked' }
  | { type: 'roster-refused' };
