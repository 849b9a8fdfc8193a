export {
  coloredStringLogger,
  jsonLogger,
  type LogFields,
  type LogFn,
  type Logger,
  type LogLevel,
} from '../transport/log.ts';
