/** What the person at the terminal reads when all is up: where it is, and three things to try. */
export function readyLines(url: string, model: string): string[] {
  const body = JSON.stringify({
    model,
    messages: [{ role: "user", content: "What is the capital of France?" }],
  });
  const post = (path: string, json: string, flags = "") =>
    `  curl ${flags}${url}${path} -H 'content-type: application/json' -d '${json}'`;
  return [
    "",
    `Quern is ready on ${url}`,
    "",
    "Ask:",
    post("/v1/chat/completions", body),
    "Watch the answer as it is written:",
    post("/v1/chat/completions", body.replace(/\}$/, ',"stream":true}'), "-N "),
    "Queue a job, and follow it with the id that you get:",
    post("/v1/jobs", `{"endpoint":"/v1/chat/completions","body":${body}}`),
    `  curl -N ${url}/v1/jobs/<id>/events`,
    "",
    "Ctrl-C drains and stops everything.",
    "",
  ];
}
