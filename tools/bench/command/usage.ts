import { MODEL_NAMES } from "./models.ts";

export const USAGE = `Measures Quern's engine, alone or beside llama.cpp's llama-server, and Quern as a whole.

  npm run bench -- <scenario> [options]        <scenario> --help tells its options

scenarios
  engine         decoding speed over numbers of slots
  prefill-gap    what running streams notice of a long prompt that arrives
  prefix         what jobs gain from sharing a system prompt
  attention      what a filled cache costs, with and without flash attention, by the size of a prompt's parts
  eta            how many jobs begin and end when their submitters were told, through gateway, Redis and a worker
  preemption     how long interactive jobs wait while batch jobs fill every slot, gateway and Redis included
  readers          what a small chat notices of a stream with very many readers, and what each event costs the gateway
  batch          what a batch costs beside its engine, how much memory, and what others notice of it
  hostile-prompts  how long a small chat waits for its first token while one client sends costly requests
`;

export const COMMON_USAGE = `
every scenario
  --model M            ${MODEL_NAMES.join(", ")} (random weights, written once), or a GGUF file (qwen3-0.6b)
  --threads N          of each contender (1)
  --llama-server BIN   measures this llama-server as well, in turns with the others
  --json               the figures of every round as JSON on stdout; npm run --silent keeps npm's own lines out
  -h, --help
`;

export const SCENARIO_USAGE = {
  engine: `Decoding speed: every slot gets a short prompt at once. Contenders take turns, round after round.

  npm run bench -- engine [options]

  --slots N,N,…        numbers of slots to measure (1,4,8,16,32)
  --tokens N           completion tokens of each request (64)
  --prompt-tokens N    prompt tokens of each request (16)
  --repeat N           rounds (5)
  --against FILE       also the engine of another checkout: its tools/bench/engine/contender-child.ts
  --baseline           also node-llama-cpp's own ways: LlamaCompletion, and independent evaluate loops
${COMMON_USAGE}`,
  "prefill-gap": `A long prompt arrives while streams run: how long do they stand still, and how long does it wait?

  npm run bench -- prefill-gap [options]

  --streams N          running streams (8); the long prompt gets a slot of its own
  --prompt-tokens N    tokens of the long prompt (2048)
  --repeat N           rounds (3)
${COMMON_USAGE}`,
  prefix: `Jobs in random order, each with one of 5 system prompts of 256 tokens; in turns with as many that share none.

  npm run bench -- prefix [options]

  --slots N            slots, and jobs that run at once (8)
  --jobs N             jobs (200)
  --repeat N           rounds (1)
${COMMON_USAGE}`,
  attention: `Time of a decode behind caches of several lengths, and of parts of a prompt, with flash attention on and off.

  npm run bench -- attention [options]

  --slots N            slots that decode together (8)
  --depths N,N,…       tokens in the cache before (32,512,1024)
  --parts N,N,…        tokens of a part of a prompt, in one slot (16,63,64,128)
  --repeat N           measurements of each, the median counts (5)
${COMMON_USAGE}`,
  eta: `Bursts of jobs on a whole cluster of one worker: how good were the estimates that each of them was given?

  npm run bench -- eta [options]

  --slots N            slots of the worker (8)
  --jobs N             jobs of a round (400)
  --repeat N           rounds (3)
  --model M            the demo model, unless told; its answers end by themselves
${COMMON_USAGE}`,
  preemption: `Interactive jobs arrive while batch jobs fill every slot; before that, each alone. A gateway, a Redis and a worker.

  npm run bench -- preemption [options]

  --slots N            slots (8), of which one is reserved from 4 on
  --requests N         interactive jobs of each phase (200)
  --gap N              milliseconds between two arrivals on average (50)
  --repeat N           rounds (3)
  --model M            as everywhere, but tiny unless told: with a slow model the wait is its step
${COMMON_USAGE}`,
  readers: `Short chats alone, then beside one stream with very many readers. A gateway, a Redis and a worker.

  npm run bench -- readers [options]

  --readers N          connections that read the stream (1000)
  --rate N             events of the stream in a second (25)
  --chats N            chats of each phase, one after the other (50)
  --slots N            slots of the worker (8)
  --repeat N           rounds (3)
  --model M            the demo model, unless told
${COMMON_USAGE}`,
  batch: `Batches from their upload to their files. A gateway, a scheduler, a worker and a Redis for each part.

  npm run bench -- batch [options]

  --part P,P,…         (all)
       overhead        the same lines through the engine alone and as a batch, in turns
       volume          50,000 lines of 8 KiB, and 10,000, through an engine that answers at once: lines/s, memory
       mixed           interactive jobs alone, and beside a batch that fills every slot
       prefix          5 system prompts in random order: lines ordered by prefix, and as given
       fairness        a tenant with 100 lines beside one with 10,000
  --slots N            slots of the worker (8)
  --percent N          of the lines and jobs of a whole run (100)
  --repeat N           rounds (3)
  --model M            of overhead and prefix; the others take tiny, or none
${COMMON_USAGE}`,
  "hostile-prompts": `Time to first token of a small chat, alone and beside a client that keeps sending one costly request.

  npm run bench -- hostile-prompts [options]

  --prompt P,P,…       (all)
       20k-messages    a chat of 20,000 empty messages
       letters         one prompt of 9.9 MB: one letter
       prose           one prompt of 9.9 MB: sentences
       four-letters    four requests as letters at once
       tools           300 tools, one of which must be called
       schema          a JSON schema at the limits of its properties and alternatives
       100k-messages   a chat of 100,000 empty messages
  --slots N            slots of the worker (8)
  --requests N         measured chats of each phase, one after the other (100); more, until a costly request has ended
  --repeat N           rounds, each on a new cluster (3)
  --model M            the demo model, unless told
${COMMON_USAGE}`,
};
