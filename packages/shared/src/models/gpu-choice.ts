/** What `--gpu` and QUERN_GPU take. */
export const GPU_CHOICE = /^(cpu|\d+|(GPU|MIG)-[\w/-]+)$/;

/** The same for people. */
export const GPU_FORMS = "a number as nvidia-smi counts, a UUID (GPU-…, MIG-…), or cpu";
