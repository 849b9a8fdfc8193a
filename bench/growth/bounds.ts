import { BufferBudget } from 'holdfast/transport';

/** The options that a growth run sets: they bound what it is to grow. */
export interface Bounds {
  maxSessionBufferBytes?: number;
  sessionHighWaterBytes?: number;
  readableHighWaterBytes?: number;
  maxStreamsPerSession?: number;
}

/** No run comes near it. */
export const budget: BufferBudget = new BufferBudget(16e9);
