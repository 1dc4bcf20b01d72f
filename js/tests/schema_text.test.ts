import { describe, expect, it } from "vitest";
import { EXAMPLE, format, jsonProblem, sameJson, schemaFields } from "../src/schema_text";

describe("where a text stops being JSON", () => {
  it.each([
    "{}",
    "[]",
    "[[], {}, -0.5e+3, \"\\u00e9\\n\"]",
    " \r\n\t{\"a\": null} ",
    "true",
    "0",
    '""',
    EXAMPLE,
  ])("finds nothing in %j", (text) => {
    expect(jsonProblem(text)).toBeNull();
  });

  it.each([
    ["", "Line 1:1: expected a value, but the text ends"],
    ["{", 'Line 1:2: expected a name in "quotes", but the text ends'],
    ['{"a" 1}', "Line 1:6: expected a colon"],
    ['{"a": 1 "b": 2}', "Line 1:9: expected a comma or }"],
    ['{\n  "a": 1,\n}', 'Line 3:1: expected a name in "quotes"'],
    ["{a: 1}", 'Line 1:2: expected a name in "quotes"'],
    ["[1, 2,]", "Line 1:7: expected a value"],
    ["[1 2]", "Line 1:4: expected a comma or ]"],
    ["[1", "Line 1:3: expected a comma or ], but the text ends"],
    ["[1}", "Line 1:3: expected a comma or ]"],
    ['{"a": [}', "Line 1:8: expected a value"],
    ["{} {}", "Line 1:4: expected the end"],
    ["]", "Line 1:1: expected a value"],
    ["01", "Line 1:1: expected a value"],
    ["nulls", "Line 1:1: expected a value"],
    ["'a'", "Line 1:1: expected a value"],
    ['"a\nb"', "Line 1:1: expected a value"],
    ["[\u00a01]", "Line 1:2: expected a value"],
    ['{"a": tru}', "Line 1:7: expected a value"],
  ])("%j: %s", (text, problem) => {
    expect(jsonProblem(text)).toBe(problem);
  });

  it("agrees with the parser on every cut and every slip of a schema", () => {
    for (let at = 0; at <= EXAMPLE.length; at += 1) {
      for (const slip of ["", ",", "}", '"', "x", " 1"]) {
        const cut = EXAMPLE.slice(0, at) + slip;
        for (const text of [cut, cut + EXAMPLE.slice(at + 1)]) {
          let valid = true;
          try {
            JSON.parse(text);
          } catch {
            valid = false;
          }
          expect(jsonProblem(text) === null).toBe(valid);
        }
      }
    }
  });

  it("is quick with long and with deep texts", () => {
    const began = performance.now();
    expect(jsonProblem("[".repeat(100_000))).toContain("1:100001");
    expect(jsonProblem(`["${"x".repeat(100_000)}"`)).toContain("a comma or ]");
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

it("names the fields of an object schema alone", () => {
  expect(schemaFields(EXAMPLE)).toEqual(["text", "brightness"]);
  expect(schemaFields('{"type": "integer"}')).toEqual([]);
  expect(schemaFields("null")).toEqual([]);
});

it("formats JSON, and leaves alone what is none", () => {
  expect(format('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(format("{a")).toBe("{a");
});

it("tells layout from content", () => {
  expect(sameJson('{"a":1}', ' {\n"a": 1}')).toBe(true);
  expect(sameJson('{"a":1}', '{"a":2}')).toBe(false);
  expect(sameJson("", "  ")).toBe(true);
  expect(sameJson("{", "{}")).toBe(false);
});
