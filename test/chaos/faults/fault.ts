import type { ChaosCluster } from "../cluster.ts";
import type { Ledger } from "../ledger.ts";
import type { Random } from "../random.ts";
import type { Takeovers } from "../takeovers.ts";

/** What a fault breaks, and by what it chooses. */
export interface Target {
  cluster: ChaosCluster;
  ledger: Ledger;
  takeovers: Takeovers;
  random: Random;
}

/** Breaks one thing and mends it: resolves when it is whole again, and the jobs that were hit have gone on. */
export interface Fault {
  name: string;
  /** The part of the cluster that it is about: two that hit the same one would be in each other's way. */
  hits: "worker" | "gateway" | "scheduler" | "redis";
  /** Absent: in every cluster. */
  applies?: (cluster: ChaosCluster) => boolean;
  inject: (target: Target) => Promise<void>;
}
