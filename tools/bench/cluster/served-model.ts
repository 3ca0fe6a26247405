import { until } from "@quern/testing/cluster";
import { callApi } from "@quern/testing/jobs-api";

/** The name of a cluster's one model, when a worker has it ready. A gateway answers before it has reached Redis. */
export async function servedModel(url: string): Promise<string> {
  await until(async () => (await fetch(`${url}/readyz`)).ok);
  return until(async () => {
    const { data } = await callApi<{ data: { id: string; ready: boolean }[] }>(`${url}/v1/models`);
    return data.find(({ ready }) => ready)?.id;
  });
}
