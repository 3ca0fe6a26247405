/** The files of one `quern batch run`, all beside its output. */
export interface RunFiles {
  /** What the person asked for. */
  output: string;
  /** Output lines of the batches as they came; for `jsonl` the output itself. */
  answers: string;
  /** Lines that have no answer, with why; only there when there are some. */
  errors: string;
  state: string;
  /** One run at a time works on an output. */
  lock: string;
  /** Requests on their way up, results on their way down; gone when the run ends. */
  upload: string;
  download: string;
  /** What a private cluster keeps, until the batch is over. */
  cluster: string;
}

export function runFiles(output: string, isJsonl: boolean): RunFiles {
  const own = `${output}.quern`;
  return {
    output,
    answers: isJsonl ? output : `${own}.answers.jsonl`,
    errors: `${output}.errors.jsonl`,
    state: `${own}.json`,
    lock: `${own}.lock`,
    upload: `${own}.upload.jsonl`,
    download: `${own}.download.jsonl`,
    cluster: `${own}.cluster`,
  };
}
