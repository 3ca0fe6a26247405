const DAY_OF_MONTH = "(0[1-9]|[12][0-9]|3[01])";
const COMMON_DATE = `[0-9]{4}-((0[13578]|1[02])-${DAY_OF_MONTH}|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))`;
/** Divisible by 4, and not by 100 unless by 400. */
const LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
const DATE = `(${COMMON_DATE}|${LEAP_YEAR}-02-29)`;
const TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";

/**
 * The formats that are enforced, as patterns. The others of JSON Schema say what a text means and bind nobody
 * (draft 2020-12, validation, section 7.2.1). A pattern beside one says it more closely, and counts alone. Times are RFC 3339's, without leap seconds.
 */
export const STRING_FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", `^${DATE}$`],
  ["time", `^${TIME}$`],
  ["date-time", `^${DATE}T${TIME}$`],
  ["uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"],
]);

/** Patterns with look-around that a schema library writes, and what means the same without. */
export const KNOWN_PATTERNS: ReadonlyMap<string, string> = new Map([
  // Pydantic's Decimal.
  ["^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$", "^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)$"],
]);
