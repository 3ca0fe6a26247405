import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";

/** What the person at the terminal reads when all is up: where it is, and things to try with the first model. */
export function readyLines(url: string, { alias, kind }: Pick<CatalogueEntry, "alias" | "kind">): string[] {
  return [
    "",
    `Quern is ready on ${url}`,
    "",
    ...(kind === "chat" ? chatLines(url, alias) : embeddingLines(url, alias)),
    `  curl -N ${url}/v1/jobs/<id>/events`,
    "",
    "Ctrl-C drains and stops everything.",
    "",
  ];
}

function chatLines(url: string, model: string): string[] {
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
  });
  return [
    "Ask:",
    post(`${url}/v1/chat/completions`, body),
    "Watch the answer as it is written:",
    post(`${url}/v1/chat/completions`, body.replace(/\}$/, ',"stream":true}'), "-N "),
    "Queue a job, and follow it with the id that you get:",
    post(`${url}/v1/jobs`, `{"endpoint":"/v1/chat/completions","body":${body}}`),
  ];
}

function embeddingLines(url: string, model: string): string[] {
  const body = JSON.stringify({ model, input: ["What is the capital of France?", "Paris"] });
  return [
    "Ask for vectors:",
    post(`${url}/v1/embeddings`, body),
    "Queue a job, and follow it with the id that you get:",
    post(`${url}/v1/jobs`, `{"endpoint":"/v1/embeddings","body":${body}}`),
  ];
}

function post(url: string, json: string, flags = ""): string {
  return `  curl ${flags}${url} -H 'content-type: application/json' -d '${json}'`;
}
