import { isDeepStrictEqual } from 'node:util';
import { Deviation, show } from './deviation.ts';
import { type Line, linesOf, type Recording } from './recording.ts';
import type { HandMadeScenario, ScriptStep } from './scenario.ts';

/** Whether a line is what a step of a script does or waits for, ids included: a script's ids are its own. */
function isStep(line: Line, step: ScriptStep): boolean {
  if (line.kind === 'raised') return false;
  if ('opens' in step) return line.kind === 'open' && line.conn === step.opens;
  if ('closes' in step) return line.kind === 'closed' && line.conn === step.closes;
  if ('isClosed' in step) return line.kind === 'closed' && line.conn === step.isClosed;
  if (line.kind !== 'frame') return false;
  if ('hears' in step) return line.from === 'server' && line.conn === step.hears;
  if (line.from !== 'client' || line.conn !== step.sends) return false;
  return 'bytes' in step ? isDeepStrictEqual(line.bytes, step.bytes) : isDeepStrictEqual(line.message, step.message);
}

/**
 * Compares a recording with the script of its raw client, line by line and step by step.
 * @throws {Deviation}
 */
export function followScript(recording: Recording, { script }: HandMadeScenario): void {
  const lines = linesOf(recording).filter((line) => line.kind !== 'raised');
  for (let at = 0; at < Math.max(lines.length, script.length); at++) {
    const line = lines[at];
    const step = script[at];
    if (line !== undefined && step !== undefined && isStep(line, step)) continue;
    throw new Deviation(`line ${at + 1}: the script has ${show(step)}, the recording has ${show(line)}`);
  }
}
