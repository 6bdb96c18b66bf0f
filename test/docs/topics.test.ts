// The site's overview of the API, whose build takes a minute: what can be missing there shows here.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as lamella from "../../src/index.ts";

const { namesByTopic } = await import(
  new URL("../../scripts/build/topics.js", import.meta.url).href
);

test("every public name has a topic", () => {
  const text = ["../../src/index.ts", "../../build/layer_names.ts"].map((file) =>
    readFileSync(new URL(file, import.meta.url), "utf8"),
  );
  const byTopic: Map<string, string[]> = namesByTopic(text.join(""));
  const names = [...byTopic.values()].flat();
  expect(names).toEqual(expect.arrayContaining(Object.keys(lamella)));
  expect(new Set(names).size).toBe(names.length);
});
