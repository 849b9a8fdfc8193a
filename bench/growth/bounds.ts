/** The options that a growth run sets: they bound what it is to grow. */
export interface Bounds {
  maxSessionBufferBytes?: number;
  sessionHighWaterBytes?: number;
  maxStreamsPerSession?: number;
}
