import { z } from "zod";
import { accepted } from "./text-body.ts";

/** `GET /v1/responses/{id}` */
export const responseQuerySchema = z
  .strictObject({
    stream: z.enum(["true", "false"]).default("false"),
    /** The number of the last event that was seen. */
    starting_after: z.coerce.number().int().min(0).optional(),
    // Without effect: what a response has is in it, and events are not padded.
    include: accepted,
    "include[]": accepted,
    include_obfuscation: accepted,
  })
  .refine(({ stream, starting_after: seen }) => stream === "true" || seen === undefined, {
    error: "only events have numbers: send stream=true with it",
    path: ["starting_after"],
  });
