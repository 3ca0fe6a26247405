/** A schema, JSON texts its grammar takes, and texts that it does not. */
export interface SchemaCase {
  name: string;
  schema: Record<string, unknown>;
  taken: string[];
  refused: string[];
}

const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});
const text = { type: "string" };
const step = object({ explanation: text, output: text });

/** The forms that people send: by hand, and as the schema libraries of Python and TypeScript write them. */
export const SCHEMA_CORPUS: SchemaCase[] = [
  {
    name: "steps of a solution",
    schema: object(
      { steps: { type: "array", items: { $ref: "#/$defs/step" } }, final_answer: text },
      { $defs: { step } },
    ),
    taken: [
      '{"steps":[{"explanation":"x","output":"y"}],"final_answer":"z"}',
      '{\n  "steps": [],\n  "final_answer": "é\\n"\n}',
    ],
    refused: [
      '{"steps":[]}',
      '{"final_answer":"z","steps":[]}',
      '{"steps":[{"explanation":"x"}],"final_answer":"z"}',
    ],
  },
  {
    name: "an event with its people",
    schema: object({
      name: text,
      date: { type: "string", format: "date" },
      participants: { type: "array", items: text },
    }),
    taken: ['{"name": "Fair", "date": "2024-02-29", "participants": ["Ann", "Bo"]}'],
    refused: [
      '{"name": "Fair", "date": "2023-02-29", "participants": []}',
      '{"name": "Fair", "date": "2024-04-31", "participants": []}',
    ],
  },
  {
    name: "a recursive user interface",
    schema: object(
      {
        type: { type: "string", enum: ["div", "button", "field"] },
        label: text,
        children: { type: "array", items: { $ref: "#" } },
        attributes: { type: "array", items: object({ name: text, value: text }) },
      },
      {},
    ),
    taken: [
      '{"type":"div","label":"","children":[{"type":"field","label":"a","children":[],"attributes":[]}],"attributes":[]}',
    ],
    refused: ['{"type":"span","label":"","children":[],"attributes":[]}'],
  },
  {
    name: "a linked list",
    schema: {
      ...object({ list: { $ref: "#/$defs/node" } }),
      $defs: {
        node: object({
          value: { type: "number" },
          next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
        }),
      },
    },
    taken: ['{"list": {"value": 1, "next": {"value": -2.5e3, "next": null}}}'],
    refused: ['{"list": null}', '{"list": {"value": 1}}'],
  },
  {
    name: "optional members",
    schema: {
      type: "object",
      properties: { a: { type: "integer" }, b: text, c: { type: "boolean" } },
      required: ["b"],
      additionalProperties: false,
    },
    taken: ['{"b":""}', '{"a":1,"b":""}', '{"b":"","c":true}', '{"a":-3,"b":"","c":false}'],
    refused: [
      "{}",
      '{"a":1}',
      '{"b":"","a":1}',
      '{"b":"",}',
      '{"b":"","d":1}',
      '{,"b":""}',
      '{"a":01,"b":""}',
    ],
  },
  {
    name: "all members optional",
    schema: { type: "object", properties: { a: text, b: text } },
    taken: ["{}", "{ }", '{"a":""}', '{"b":""}', '{"a":"","b":""}'],
    refused: ['{"b":"","a":""}', '{"a":"",}', "[]"],
  },
  {
    name: "optional and nullable, as pydantic writes it",
    schema: {
      title: "Person",
      type: "object",
      properties: {
        name: { title: "Name", type: "string" },
        nick: { anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "Nick" },
        age: { anyOf: [{ type: "integer", minimum: 0 }, { type: "null" }], description: "in years" },
      },
      required: ["name"],
    },
    taken: ['{"name":"A","nick":null,"age":7}', '{"name":"A"}', '{"name":"A","age":null}'],
    refused: ['{"name":null}', '{"name":"A","age":-1}', '{"name":"A","age":"7"}'],
  },
  {
    name: "a union of types",
    schema: object({ value: { type: ["string", "integer", "null"] } }),
    taken: ['{"value":"x"}', '{"value":3}', '{"value":null}'],
    refused: ['{"value":3.5}', '{"value":true}', '{"value":[]}'],
  },
  {
    name: "a discriminated union",
    schema: object({
      shape: {
        oneOf: [
          object({ kind: { const: "circle" }, radius: { type: "number", exclusiveMinimum: 0 } }),
          object({ kind: { const: "square" }, side: { type: "number", minimum: 0, maximum: 10 } }),
        ],
      },
    }),
    taken: ['{"shape":{"kind":"circle","radius":0.5}}', '{"shape":{"kind":"square","side":10.0}}'],
    refused: [
      '{"shape":{"kind":"circle","side":1}}',
      '{"shape":{"kind":"circle","radius":0}}',
      '{"shape":{"kind":"square","side":10.1}}',
    ],
  },
  {
    name: "constants and literals of all types",
    schema: object({
      a: { const: null },
      b: { enum: [1, 2.5, true, "x", null] },
      c: { const: { k: [1, "y"] } },
    }),
    taken: ['{"a":null,"b":2.5,"c":{"k":[1,"y"]}}', '{"a": null, "b": true, "c": {"k": [1, "y"]}}'],
    refused: ['{"a":null,"b":2,"c":{"k":[1]}}', '{"a":0,"b":1,"c":{"k":[1,"y"]}}'],
  },
  {
    name: "literals that need escapes",
    schema: object({
      'a"b\\c\n\u0001é😀': { enum: ['"', "\\", "\n\t\u0000", "é", "😀", "a]b^c-d[", "a", "ab", "", "日本"] },
    }),
    taken: [
      '{"a\\"b\\\\c\\n\\u0001é😀":"\\""}',
      '{"a\\"b\\\\c\\n\\u0001é😀":"\\n\\t\\u0000"}',
      '{"a\\"b\\\\c\\n\\u0001é😀":""}',
      '{"a\\"b\\\\c\\n\\u0001é😀": "a]b^c-d["}',
    ],
    refused: ['{"a\\"b\\\\c\\n\\u0001é😀":"abc"}', '{"a":"a"}'],
  },
  {
    name: "whole numbers within bounds",
    schema: object({
      a: { type: "integer", minimum: -12, maximum: 345 },
      b: { type: "integer", exclusiveMinimum: 99, exclusiveMaximum: 101 },
    }),
    taken: ['{"a":-12,"b":100}', '{"a":0,"b":100}', '{"a":345,"b":100}', '{"a":99,"b":100}'],
    refused: [
      '{"a":-13,"b":100}',
      '{"a":346,"b":100}',
      '{"a":1000,"b":100}',
      '{"a":1,"b":99}',
      '{"a":1.0,"b":100}',
      '{"a":007,"b":100}',
    ],
  },
  {
    name: "whole numbers with one bound",
    schema: object({
      a: { type: "integer", minimum: 18 },
      b: { type: "integer", maximum: -5 },
      c: { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 },
    }),
    taken: ['{"a":18,"b":-5,"c":0}', '{"a":1234567,"b":-60,"c":9007199254740991}'],
    refused: [
      '{"a":17,"b":-5,"c":0}',
      '{"a":-18,"b":-5,"c":0}',
      '{"a":18,"b":-4,"c":0}',
      '{"a":18,"b":-5,"c":9007199254740992}',
    ],
  },
  {
    name: "decimals within bounds",
    schema: object({
      a: { type: "number", minimum: 0, maximum: 1 },
      b: { type: "number", exclusiveMinimum: -1.25, maximum: 0.5 },
    }),
    taken: [
      '{"a":0,"b":0}',
      '{"a":1.0,"b":-1.24}',
      '{"a":0.125,"b":0.5}',
      '{"a":1,"b":-0.75}',
      '{"a":1,"b":0.49}',
    ],
    refused: [
      '{"a":1.1,"b":0}',
      '{"a":-0.1,"b":0}',
      '{"a":0,"b":-1.25}',
      '{"a":0,"b":0.51}',
      '{"a":0,"b":-2}',
      '{"a":0,"b":1}',
    ],
  },
  {
    name: "lengths of texts",
    schema: object({
      a: { type: "string", minLength: 2, maxLength: 3 },
      b: { type: "string", minLength: 1 },
      c: { type: "string", maxLength: 0 },
    }),
    taken: ['{"a":"ab","b":"x","c":""}', '{"a":"é😀\\"","b":"long","c":""}'],
    refused: [
      '{"a":"a","b":"x","c":""}',
      '{"a":"abcd","b":"x","c":""}',
      '{"a":"ab","b":"","c":""}',
      '{"a":"ab","b":"x","c":"y"}',
    ],
  },
  {
    name: "a long text",
    schema: object({ a: { type: "string", minLength: 1100, maxLength: 2500 } }),
    taken: [`{"a":"${"x".repeat(1_100)}"}`, `{"a":"${"x".repeat(2_001)}"}`, `{"a":"${"x".repeat(2_500)}"}`],
    refused: [`{"a":"${"x".repeat(1_099)}"}`, `{"a":"${"x".repeat(2_501)}"}`],
  },
  {
    name: "patterns",
    schema: object({
      phone: { type: "string", pattern: "^\\+?[0-9]{2,4}(-[0-9]{2,4}){1,3}$" },
      handle: { type: "string", pattern: "^@[a-zA-Z0-9_]{1,15}$", maxLength: 16 },
      anywhere: { type: "string", pattern: "cat|dog$" },
      quoted: { type: "string", pattern: '^["\\\\\\n][^a-z]\\s\\w?$' },
    }),
    taken: [
      '{"phone":"+49-30-1234","handle":"@ann_1","anywhere":"a cat here","quoted":"\\"A "}',
      '{"phone":"12-34","handle":"@a","anywhere":"hotdog","quoted":"\\\\\\" x"}',
    ],
    refused: [
      '{"phone":"1-2","handle":"@a","anywhere":"cat","quoted":"\\"A "}',
      '{"phone":"12-34","handle":"a","anywhere":"cat","quoted":"\\"A "}',
      '{"phone":"12-34","handle":"@a","anywhere":"dogs","quoted":"\\"A "}',
      '{"phone":"12-34","handle":"@a","anywhere":"cat","quoted":"\\"a "}',
    ],
  },
  {
    name: "formats",
    schema: object({
      at: { type: "string", format: "date-time" },
      time: { type: "string", format: "time" },
      id: { type: "string", format: "uuid" },
      mail: { type: "string", format: "email" },
    }),
    taken: [
      '{"at":"2026-11-25T10:00:59.25Z","time":"23:59:00+02:00","id":"123e4567-e89b-12d3-a456-426614174000","mail":"a@b.c"}',
    ],
    refused: [
      '{"at":"2026-11-25 10:00:59Z","time":"23:59:00Z","id":"123e4567-e89b-12d3-a456-426614174000","mail":""}',
      '{"at":"2026-11-25T10:00:59Z","time":"24:00:00Z","id":"123e4567-e89b-12d3-a456-426614174000","mail":""}',
    ],
  },
  {
    name: "a pattern says more than its format",
    schema: object({
      id: {
        type: "string",
        format: "uuid",
        pattern:
          "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8})$",
      },
      day: {
        type: "string",
        format: "date",
        pattern:
          "^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))$",
      },
    }),
    taken: [
      '{"id":"123e4567-e89b-42d3-a456-426614174000","day":"2024-02-29"}',
      '{"id":"00000000","day":"2026-11-30"}',
    ],
    refused: [
      '{"id":"123e4567-e89b-92d3-a456-426614174000","day":"2024-02-29"}',
      '{"id":"00000000","day":"2023-02-29"}',
    ],
  },
  {
    name: "patterns as schema libraries write them",
    schema: object({
      amount: {
        anyOf: [{ type: "number" }, { type: "string", pattern: "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$" }],
      },
      year: { type: "string", pattern: "^(?<year>\\d{4})$" },
      digits: { type: "string", pattern: "^(\\d*)?$" },
    }),
    taken: [
      '{"amount":"-1.50","year":"2026","digits":""}',
      '{"amount":".5","year":"2026","digits":"12"}',
      '{"amount":"+7.","year":"2026","digits":""}',
    ],
    refused: [
      '{"amount":"-.","year":"2026","digits":""}',
      '{"amount":"","year":"2026","digits":""}',
      '{"amount":1,"year":"x","digits":""}',
    ],
  },
  {
    name: "keys out of a list",
    schema: {
      type: "object",
      propertyNames: { $ref: "#/$defs/color" },
      additionalProperties: { type: "integer" },
      required: ["red"],
      $defs: { color: { type: "string", enum: ["red", "green"] } },
    },
    taken: ['{"red":1,"green":2}', '{"red":1}'],
    refused: ['{"green":2}', '{"red":1,"blue":2}', '{"red":"x"}'],
  },
  {
    name: "nothing beside what is declared",
    schema: {
      allOf: [{ type: "object", unevaluatedProperties: false, allOf: [{ properties: { a: text } }] }],
      properties: { b: text, c: { type: "array", prefixItems: [text], unevaluatedItems: false } },
    },
    taken: ['{"a":"x"}'],
    refused: ['{"a":"x","b":""}', '{"b":""}'],
  },
  {
    name: "lists with bounds",
    schema: object({
      a: { type: "array", items: { type: "boolean" }, minItems: 1, maxItems: 3 },
      b: { type: "array", items: text, minItems: 2 },
      c: { type: "array", items: text, maxItems: 1 },
    }),
    taken: [
      '{"a":[true],"b":["",""],"c":[]}',
      '{"a":[true,false,true],"b":["","",""],"c":["x"]}',
      '{"a": [\n    true\n  ], "b": ["", ""], "c": []}',
    ],
    refused: [
      '{"a":[],"b":["",""],"c":[]}',
      '{"a":[true,true,true,true],"b":["",""],"c":[]}',
      '{"a":[true],"b":[""],"c":[]}',
      '{"a":[true],"b":["",""],"c":["x","y"]}',
      '{"a":[true,],"b":["",""],"c":[]}',
    ],
  },
  {
    name: "tuples",
    schema: object({
      a: { type: "array", prefixItems: [text, { type: "integer" }], items: false },
      b: { type: "array", prefixItems: [text], items: { type: "boolean" }, maxItems: 2 },
      c: { type: "array", prefixItems: [text], minItems: 2, maxItems: 2 },
    }),
    taken: ['{"a":["x",1],"b":["x"],"c":["x",{}]}', '{"a":["x",1],"b":["x",true],"c":["x","y"]}'],
    refused: [
      '{"a":["x",1,2],"b":["x"],"c":["x",1]}',
      '{"a":["x"],"b":["x"],"c":["x",1]}',
      '{"a":["x",1],"b":["x",true,true],"c":["x",1]}',
      '{"a":["x",1],"b":["x"],"c":["x"]}',
    ],
  },
  {
    name: "a list of lists",
    schema: { type: "array", items: { type: "array", items: { type: "number" }, minItems: 2, maxItems: 2 } },
    taken: ["[]", "[[1,2],[3.5,-4]]", "[ [1, 2] ]"],
    refused: ["[[1]]", "[1,2]"],
  },
  {
    name: "a map",
    schema: { type: "object", additionalProperties: { type: "integer" } },
    taken: ["{}", '{"a":1}', '{"a":1, "b\\n":2}'],
    refused: ['{"a":"x"}', "{a:1}", '{"a":1,}'],
  },
  {
    name: "a map as zod writes it",
    schema: {
      type: "object",
      propertyNames: { type: "string" },
      additionalProperties: { anyOf: [{ type: "string" }, { type: "boolean" }] },
    },
    taken: ['{"x":true,"y":""}'],
    refused: ['{"x":1}'],
  },
  {
    name: "members beside the declared ones",
    schema: {
      type: "object",
      properties: { id: { type: "integer" }, "i\\d": text, "": text },
      required: ["id"],
      additionalProperties: { type: "boolean" },
    },
    taken: [
      '{"id":1}',
      '{"id":1,"x":true}',
      '{"id":1,"idx":true,"i":false}',
      '{"id":1,"i\\\\d":"","":"","i\\\\":true}',
    ],
    refused: [
      '{"id":1,"id":true}',
      '{"x":true}',
      '{"id":1,"":true}',
      '{"id":1,"x":2}',
      '{"id":1,"\\u0069d":true}',
      '{"id":1,"i\\\\d":true}',
    ],
  },
  {
    name: "open to anything beside",
    schema: { type: "object", properties: { a: text }, additionalProperties: true },
    taken: ['{"a":"","b":[1,{"c":null}]}', '{"b":1}', "{}"],
    refused: ['{"a":1}'],
  },
  {
    name: "any object",
    schema: { type: "object" },
    taken: ["{}", '{"a":{"b":[1,"x",null,true]}}'],
    refused: ["[]", "1"],
  },
  {
    name: "anything",
    schema: {},
    taken: ["1", '"x"', "null", "[]", '{"a":1}', "-0.5e-7"],
    refused: ["", "nul", "1.", "'x'"],
  },
  {
    name: "required but not declared",
    schema: { type: "object", required: ["a"], properties: { b: text } },
    taken: ['{"b":"","a":1}', '{"a":[]}'],
    refused: ['{"b":""}'],
  },
  {
    name: "allOf with a base",
    schema: {
      allOf: [
        { $ref: "#/definitions/base" },
        { type: "object", properties: { b: { type: "integer" } }, required: ["b"] },
      ],
      definitions: {
        base: { type: "object", properties: { a: { type: "string", maxLength: 5 } }, required: ["a"] },
      },
    },
    taken: ['{"a":"x","b":1}'],
    refused: ['{"a":"x"}', '{"b":1}', '{"a":"xxxxxx","b":1}'],
  },
  {
    name: "allOf of bounds, and a property declared twice",
    schema: {
      allOf: [
        object({ n: { type: "number", minimum: 3 }, s: { enum: ["a", "b", "c"] } }),
        object({ n: { type: "integer", maximum: 5 }, s: { enum: ["b", "c", "d"] } }),
      ],
    },
    taken: ['{"n":3,"s":"b"}', '{"n":5,"s":"c"}'],
    refused: ['{"n":2,"s":"b"}', '{"n":6,"s":"b"}', '{"n":4.5,"s":"b"}', '{"n":4,"s":"a"}'],
  },
  {
    name: "demands beside anyOf",
    schema: {
      type: "object",
      properties: { a: text, b: text },
      anyOf: [{ required: ["a"] }, { required: ["b"] }],
    },
    taken: ['{"a":""}', '{"b":""}', '{"a":"","b":""}'],
    refused: ["{}"],
  },
  {
    name: "a reference with words beside it",
    schema: object(
      { a: { $ref: "#/$defs/odd~1name~0%20x", description: "see there" } },
      { $defs: { "odd/name~ x": { type: "boolean" } } },
    ),
    taken: ['{"a":true}'],
    refused: ['{"a":1}'],
  },
  {
    name: "a reference to where a schema stood first",
    schema: object({ "a/b%": { type: "integer" }, c: { $ref: "#/properties/a%7E1b%25" } }),
    taken: ['{"a/b%":1,"c":2}'],
    refused: ['{"a/b%":1,"c":"x"}'],
  },
  {
    name: "a tree",
    schema: {
      $ref: "#/$defs/tree",
      $defs: {
        tree: object({
          v: { type: "integer" },
          left: { anyOf: [{ $ref: "#/$defs/tree" }, { type: "null" }] },
          right: { anyOf: [{ type: "null" }, { $ref: "#/$defs/tree" }] },
        }),
      },
    },
    taken: ['{"v":1,"left":{"v":2,"left":null,"right":null},"right":null}'],
    refused: ['{"v":1,"left":null}'],
  },
  {
    name: "JSON by its own schema",
    schema: {
      $ref: "#/$defs/json",
      $defs: {
        json: {
          anyOf: [
            { type: "null" },
            { type: "boolean" },
            { type: "number" },
            { type: "string" },
            { type: "array", items: { $ref: "#/$defs/json" } },
            { type: "object", additionalProperties: { $ref: "#/$defs/json" } },
          ],
        },
      },
    },
    taken: ['{"a":[1,{"b":null}]}', "3"],
    refused: ["[", "{1}"],
  },
  {
    name: "types that keywords imply",
    schema: {
      properties: { a: { minimum: 1, maximum: 2 }, b: { minLength: 1 }, c: { items: { type: "null" } } },
      required: ["a", "b", "c"],
    },
    taken: ['{"a":1.5,"b":"x","c":[null]}'],
    refused: ['{"a":3,"b":"x","c":[]}', '{"a":1,"b":"","c":[]}', '{"a":1,"b":"x","c":[1]}'],
  },
  {
    name: "types that upper bounds imply",
    schema: object({ a: { maxItems: 1 }, b: { maxProperties: 0, properties: {} } }),
    taken: ['{"a":[1],"b":{}}'],
    refused: ['{"a":[1,2],"b":{}}', '{"a":[],"b":{"x":1}}', '{"a":"x","b":{}}'],
  },
  {
    name: "bounds beside constants",
    schema: object({ a: { enum: ["", "x", "xyz", 1, 9], minLength: 1, maxLength: 2, maximum: 5 } }),
    taken: ['{"a":"x"}', '{"a":1}'],
    refused: ['{"a":""}', '{"a":"xyz"}', '{"a":9}'],
  },
  {
    name: "a text alone",
    schema: { type: "string", enum: ["yesterday", "no", "yes"] },
    taken: ['"yes"', '\n"yesterday"'],
    refused: ["yes", '"maybe"', '"yest"'],
  },
  {
    name: "a number alone",
    schema: { type: "integer", minimum: 1, maximum: 5 },
    taken: ["1", "5"],
    refused: ["0", "6", "11"],
  },
  {
    name: "impossible branches left out",
    schema: object({
      a: {
        anyOf: [
          false,
          { type: "integer", enum: ["x", 3] },
          { allOf: [{ type: "string" }, { type: "null" }] },
        ],
      },
      b: true,
    }),
    taken: ['{"a":3,"b":[]}'],
    refused: ['{"a":"x","b":1}', '{"a":null,"b":1}'],
  },
  {
    name: "variants that share their beginning",
    schema: {
      anyOf: [
        object({ op: { const: "move" }, from: text, to: text }),
        object({ op: { const: "remove" }, path: text }),
        object({ op: { enum: ["add", "replace"] }, path: text, value: {} }),
      ],
    },
    taken: [
      '{"op":"move","from":"","to":""}',
      '{"op":"remove","path":""}',
      '{"op":"replace","path":"","value":[1]}',
    ],
    refused: ['{"op":"move","path":""}', '{"op":"add","path":""}'],
  },
  {
    name: "notes of other vocabularies",
    schema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "x",
      title: "T",
      $comment: "c",
      deprecated: false,
      "x-order": 1,
      ...object({ a: { type: "string", description: "d", examples: ["x"], readOnly: true } }),
    },
    taken: ['{"a":"x"}'],
    refused: ["{}"],
  },
];
