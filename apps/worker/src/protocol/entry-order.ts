/**
 * When a request that waits in the engine may enter a slot. The slot pool of the worker decides it; the engine carries it
 * out and knows no classes.
 */
export interface EntryOrder {
  /** The lowest enters first; first come, first served among equals. */
  rank: number;
  /** Enters only while more slots than this are free. */
  leaveFree: number;
}

/** Which requests hold the slots of an engine, and which still wait for one. */
export interface Occupancy {
  /** By slot: the id of the request that runs there; null: the slot is free. */
  slots: (string | null)[];
  /** Ids in the order of entry; a request with several choices stands here once for each. */
  waiting: string[];
}
