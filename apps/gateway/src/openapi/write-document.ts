import { writeFileSync } from "node:fs";
import { openApiDocument } from "./document.ts";

// Run it after a change of the API, then format: `npm run format`.
writeFileSync(
  new URL("../../../../docs/openapi.json", import.meta.url),
  `${JSON.stringify(openApiDocument(), null, 2)}\n`,
);
