const isColourful = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;

function paint(code: number, text: string): string {
  return isColourful ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/** How much of a circle a state has: a session that fills up. */
const glyphs: Readonly<Record<string, string>> = {
  NoConnection: '○',
  BackingOff: '◔',
  Connecting: '◑',
  Handshaking: '◕',
  Connected: '●',
};

const COLUMN = 31;

/** Prints what happens, when it happens: a column for each link, faults across both. */
export class Timeline {
  readonly #startedAt = performance.now();
  readonly #links: readonly string[];

  constructor(links: readonly string[]) {
    this.#links = links;
    this.#print([...links.map((link) => paint(1, link.padEnd(COLUMN)))].join(''), '   time ');
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  #print(text: string, time = `${this.seconds.toFixed(2).padStart(6)} s`): void {
    console.log(`${paint(90, time)}  ${text}`);
  }

  #cell(link: string, painted: string): void {
    const column = Math.max(0, this.#links.indexOf(link));
    this.#print(`${' '.repeat(column * COLUMN)}${painted}`);
  }

  state(link: string, side: 'client' | 'server', state: string, resent: number): void {
    const colour = state === 'Connected' ? 32 : state === 'NoConnection' ? 31 : 33;
    const again = resent > 0 ? `, ${resent} sent again` : '';
    const text = `${glyphs[state] ?? '?'} ${side} ${state}${again}`;
    this.#cell(link, paint(colour, text));
  }

  confirmed(link: string, bytes: number, total: number): void {
    const tenths = Math.floor((bytes / total) * 10);
    const text = `${'█'.repeat(tenths)}${'░'.repeat(10 - tenths)} ${Math.floor((bytes / total) * 100)} % safe`;
    this.#cell(link, paint(36, text));
  }

  fault(text: string): void {
    this.#print(
      paint(35, `${'─'.repeat(4)} ${text} ${'─'.repeat(Math.max(0, this.#links.length * COLUMN - text.length - 8))}`),
    );
  }
}

/** A figure of the end, with whether it is as it must be. */
export interface Figure {
  name: string;
  value: string | number;
  isGood: boolean;
}

/** Prints the figures. */
export function printFigures(figures: readonly Figure[]): void {
  console.log();
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const { name, value, isGood } of figures) {
    console.log(`  ${isGood ? paint(32, '✓') : paint(31, '✗')} ${name.padEnd(width)}  ${value}`);
  }
  console.log();
}
