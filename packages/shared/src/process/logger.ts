import { type Logger, pino } from "pino";
import pretty from "pino-pretty";

export type { Logger };

export interface LoggerOptions {
  service: string;
  /** `pretty`: lines for people at a terminal. `json`: one object a line, for machines. */
  format: "pretty" | "json";
  level: string;
}

const DESTINATION_FD = 1;

/** One line per unit of work, to stdout. Prompts, completions and credentials have no business in any of them. */
export function createLogger({ service, format, level }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: ["authorization", "password", "*.authorization", "*.password"],
  };
  if (format === "json") return pino(options, pino.destination({ dest: DESTINATION_FD, sync: true }));
  return pino(options, prettyLines());
}

/** `20:41:07 gateway request served method=POST status=200 …` */
function prettyLines() {
  return pretty({
    destination: DESTINATION_FD,
    sync: true,
    colorize: process.stdout.isTTY === true,
    translateTime: "SYS:HH:MM:ss",
    ignore: "pid,hostname,service",
    messageFormat: (line, messageKey) => `${String(line.service).padEnd(7)} ${line[messageKey]}`,
    hideObject: false,
    singleLine: true,
  });
}
