// Reads the service's own endpoints.

const PATIENCE = 15000;  // ms

/** An answer that is no success; `status` is 0 where nothing answered. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The JSON at `path`; throws Problem. */
export async function read(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const stop = AbortSignal.timeout(PATIENCE);
  let answer;
  let content;
  try {
    answer = await fetch(query ? `${path}?${query}` : path, { signal: stop, headers: { Accept: "application/json" } });
    content = await answer.json();
  } catch (error) {
    throw new Problem(answer?.status ?? 0, error.name === "TimeoutError" ? "no answer in time" : "no answer");
  }
  if (!answer.ok) throw new Problem(answer.status, content.detail ?? content.reason ?? answer.statusText);
  return content;
}

/** As `read`, but null where there is no such thing. */
export async function readIfThere(path, parameters = {}) {
  try {
    return await read(path, parameters);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}
