// No comment is wider than the code: what the formatter does for code, this test does for comments.

import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const WIDTH = 100;

/**
 * These files were in several hands when the rest was made narrow; each leaves the list with its
 * wide comments.
 */
const later = [
  "assembly/blas/axis.ts",
  "assembly/blas/gather.ts",
  "assembly/blas/gather_4x2v_simd128.ts",
  "src/nn/layers/gelu.ts",
  "src/nn/layers/relu.ts",
  "src/nn/layers/softmax.ts",
  "test/layers/conv2d_kernels.test.ts",
  "test/support/reference.ts",
];

/** The numbers of the lines that are too wide and have a part of a comment in them, from 1 up. */
function wideComments(text: string): number[] {
  const lines = text.split("\n");
  // A line is as wide as it has characters, and not UTF-16 units.
  const isWide = lines.map((line) => [...line].length > WIDTH);
  if (!isWide.includes(true)) return [];
  const file = ts.createSourceFile("file.ts", text, ts.ScriptTarget.Latest, true);
  const found = new Set<number>();
  const look = (ranges: readonly ts.CommentRange[] | undefined) => {
    for (const { pos, end } of ranges ?? []) {
      const first = file.getLineAndCharacterOfPosition(pos).line;
      const last = file.getLineAndCharacterOfPosition(end).line;
      for (let line = first; line <= last; line++) if (isWide[line]) found.add(line + 1);
    }
  };
  const visit = (node: ts.Node) => {
    // Comments stand before and behind tokens; those with tags are nodes as well, beside them.
    if (ts.isJSDoc(node)) return;
    if (ts.isToken(node)) {
      look(ts.getLeadingCommentRanges(text, node.pos));
      look(ts.getTrailingCommentRanges(text, node.end));
    }
    for (const child of node.getChildren(file)) visit(child);
  };
  visit(file);
  return [...found].sort((a, b) => a - b);
}

const files = ["src", "assembly", "scripts", "test"].flatMap((folder) =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((name) => /\.(ts|js)$/.test(name) && !/node_modules|\.wasm/.test(name)),
);

describe("the search", () => {
  const long = "x".repeat(WIDTH);
  test.each([
    ["a line", `// ${long}\n`, [1]],
    ["the last line, behind code", `const a = 1;\nconst b = 2; // ${long}`, [2]],
    ["one line of a block", `/**\n * short\n * ${long}\n */\nconst a = 1;\n`, [3]],
    ["a block of one line before a parameter", `function f(/* ${long} */ a: number) {}\n`, [1]],
    ["a comment at the end of a block", `{\n  f();\n  // ${long}\n}\n`, [3]],
    ["a comment in an empty list", `f(\n  // ${long}\n);\n`, [2]],
  ])("finds %s", (_, text, lines) => {
    expect(wideComments(text)).toEqual(lines);
  });

  test.each([
    ["a text that looks like a comment", `const a = "// ${long}";\n`],
    ["an expression that looks like a comment", `const a = /\\/\\/ ${long}/;\n`],
    ["a template that looks like a comment", `const a = \`\n// ${long}\n\`;\n`],
    ["100 characters of two units each", `// ${"😀".repeat(WIDTH - 3)}\n`],
    ["as many columns as there may be", `// ${"x".repeat(WIDTH - 3)}\n`],
  ])("passes over %s", (_, text) => {
    expect(wideComments(text)).toEqual([]);
  });

  test("has hundreds of files", () => {
    expect(files.length).toBeGreaterThan(300);
  });
});

test(`no comment in src/, assembly/, scripts/ and test/ goes beyond column ${WIDTH}`, () => {
  const wide = files.flatMap((file) => {
    const lines = wideComments(readFileSync(new URL(file, root), "utf8"));
    return lines.length > 0 ? [{ file, lines }] : [];
  });
  expect(wide.filter(({ file }) => !later.includes(file))).toEqual([]);
});
