import { availableParallelism, cpus, loadavg } from "node:os";

/** Where figures were measured: they compare within one machine only. */
export interface Machine {
  cpu: string;
  cores: number;
  node: string;
  /** Processes that wanted to run, on average over the last minute before the first round. */
  loadAverage: number;
}

/** For people. */
export function machineLine({ cpu, cores, node, loadAverage }: Machine): string {
  return `${cpu}, ${cores} cores, Node ${node}, load average ${loadAverage.toFixed(2)} before`;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}
