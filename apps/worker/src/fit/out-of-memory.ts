/** What C++, ggml and V8 write when they get no memory. */
const OUT_OF_MEMORY = /bad_alloc|out of memory|failed to allocate|unable to allocate|cannot allocate/i;

export function tellsOutOfMemory(text: string): boolean {
  return OUT_OF_MEMORY.test(text);
}

/** What helps where memory ran out although the plan fitted. */
export const OUT_OF_MEMORY_CURE =
  "give it fewer slots or less context (--slots, --context-tokens), or free memory";
