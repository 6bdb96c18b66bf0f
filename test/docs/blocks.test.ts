// Every block of code in the pages: run, compiled or opened, and its printed values compared with
// its comments. One that is not says why in a comment of the page, or names the test that does.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { documentAt, withChromium } from "../support/chromium.ts";
import { type Block, pages, root } from "./pages.ts";

const folder = `${root}build/blocks/`;
const runs = promisify(execFile);

type Result = { printed: { line: number; text: string }[]; error?: string };

const isRun = ({ language, marker }: Block) => !marker && /^(js|ts)$/.test(language);
const folderOf = (page: string) => join(folder, page.replace(/[/.]/g, "-"));
/** By its line, so that an error's stack names the place in the page. */
const fileOf = (page: string, { line }: Block, extension: string) =>
  join(folderOf(page), `${line}.${extension}`);

/** The text of a block as a module that Node runs. */
async function moduleOf({ language, code, line }: Block): Promise<string> {
  if (language === "js") return code;
  const options = { loader: "ts", format: "esm", target: "es2022", sourcemap: "inline" } as const;
  return (await transform(code, { ...options, sourcefile: `${line}.ts` })).code;
}

/** What each block of a page that is run printed: all in one process, in the order of the page. */
async function runPage(page: string, blocks: Block[]): Promise<Map<Block, Result>> {
  mkdirSync(folderOf(page), { recursive: true });
  const files = blocks.map((block) => fileOf(page, block, "mjs"));
  for (const [i, block] of blocks.entries()) writeFileSync(files[i]!, await moduleOf(block));
  const runner = join(root, "test/docs/runner.js");
  const options = { timeout: 60_000, maxBuffer: 2 ** 24 };
  const { stdout } = await runs(process.execPath, [runner, ...files], options);
  const results: Result[] = JSON.parse(stdout);
  return new Map(blocks.map((block, i) => [block, results[i]!]));
}

const value = String.raw`(?:-?\d[\d.]*(?:e[+-]?\d+)?|-?Infinity|NaN|true|false|"[^"]*")`;
const promise = new RegExp(`^[[\\s]*${value}[\\]\\s]*(?:, *[[\\s]*${value}[\\]\\s]*)*$`);
const values = (text: string) => text.match(new RegExp(value, "g")) ?? [];

/** The values in what console.log prints of arrays and numbers. */
const printedValues = (text: string) => values(text.replace(/\w+Array\(\d+\)/g, ""));

/** A number that is written with so many digits promises no more of them. */
function agrees(said: string, got: string): boolean {
  if (said === got || said === `"${got}"`) return true;
  const [, digits = ""] = /\.(\d+)/.exec(said) ?? [];
  const [, exponent = "0"] = /e(.*)$/.exec(said) ?? [];
  const half = 0.5001 * Number(`1e${Number(exponent) - digits.length}`);
  return said !== "" && got !== "" && Math.abs(Number(said) - Number(got)) <= half;
}

/**
 * What the comment after a console.log of a block promises, by its line: values alone are a
 * promise, words are not.
 */
const promisesOf = ({ code }: Block) =>
  code.split("\n").flatMap((text, i) => {
    const [, said] = /console\.log\(.*\);\s*\/\/ (.*)$/.exec(text) ?? [];
    return said && promise.test(said) ? [{ line: i + 1, said }] : [];
  });

function expectPrinted(block: Block, { printed, error }: Result): void {
  expect(error).toBeUndefined();
  for (const { line, said } of promisesOf(block)) {
    const texts = printed.filter((one) => one.line === line).map(({ text }) => text);
    const where = `line ${block.line + line - 1} of the page`;
    expect(texts.length, `${where} prints`).toBeGreaterThan(0);
    for (const text of texts) {
      const [wanted, got] = [values(said), printedValues(text)];
      const isString = wanted.length === 1 && agrees(wanted[0]!, text);
      const isRight =
        isString ||
        (wanted.length === got.length && wanted.every((one, i) => agrees(one, got[i]!)));
      expect(isRight ? said : text, where).toBe(said);
    }
  }
}

/** Two processes at a time, from here on: the tests of a page wait for its own. */
const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
const results = new Map(
  pages.map(({ page, blocks }, i) => {
    const result = lanes[i % 2]!.then(() => runPage(page, blocks.filter(isRun)));
    lanes[i % 2] = result.catch(() => {});
    return [page, result];
  }),
);
const resultOf = async (page: string, block: Block) => (await results.get(page)!).get(block)!;

describe.each(pages.filter(({ blocks }) => blocks.some(isRun)))("$page", ({ page, blocks }) => {
  test.each(blocks.filter(isRun))(
    "the block of line $line runs and prints what its comments say",
    async (block) => expectPrinted(block, await resultOf(page, block)),
  );
});

describe("TypeScript", () => {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts", "lib.dom.d.ts"],
    types: ["node"],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  };

  /** What the compiler says of the blocks of a language in these pages, as TypeScript. */
  function faultsOf(language: string, those: typeof pages, rules: ts.CompilerOptions): string {
    const files = those.flatMap(({ page, blocks }) =>
      blocks
        .filter((block) => isRun(block) && block.language === language)
        .map((block) => {
          const file = fileOf(page, block, "ts");
          mkdirSync(folderOf(page), { recursive: true });
          // A block without imports is a module all the same.
          writeFileSync(file, `${block.code}export {};\n`);
          return file;
        }),
    );
    expect(files).not.toEqual([]);
    return ts.formatDiagnostics(ts.getPreEmitDiagnostics(ts.createProgram(files, rules)), host);
  }

  test("of the pages compiles under strict rules", () => {
    expect(faultsOf("ts", pages, options)).toBe("");
  });

  test("compiles of README's blocks as they stand, under the rules of `tsc --init`", () => {
    const nodeNext = ts.ModuleResolutionKind.NodeNext;
    const rules: ts.CompilerOptions = {
      ...{ ...options, module: ts.ModuleKind.NodeNext, moduleResolution: nodeNext },
      ...{ noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
      ...{ verbatimModuleSyntax: true, isolatedModules: true },
    };
    const readme = pages.filter(({ page }) => page === "README.md");
    expect(faultsOf("js", readme, rules)).toBe("");
  });
});

const host: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => folder,
  getNewLine: () => "\n",
};

/** What a page shows in Chromium, on a server that has the package where npm puts it. */
async function shown(html: string): Promise<string> {
  const server = createServer(({ url }, response) => {
    const [, file] = /^\/node_modules\/lamella\/(build\/\w[\w.-]*)$/.exec(url!) ?? [];
    if (file && existsSync(root + file)) {
      const type = extname(file) === ".wasm" ? "application/wasm" : "text/javascript";
      response.writeHead(200, { "content-type": type }).end(readFileSync(root + file));
    } else if (url === "/") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    return await documentAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
}

withChromium("the pages in HTML", () => {
  const blocks = pages.flatMap(({ page, blocks }) =>
    blocks
      .filter(({ language, marker }) => language === "html" && !marker)
      .map((block) => ({ page, ...block })),
  );
  test.each(blocks)("the HTML of $page, line $line, shows what it says", async ({ code }) => {
    const [, id, said] = /<output(.*?)>.*?<\/output> *<!-- (.*?) -->/.exec(code) ?? [];
    expect(said, "an output, and in a comment what it shows").toBeDefined();
    expect(await shown(code)).toContain(`<output${id}>${said}</output>`);
  });
});

describe("commands", () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  const blocks = pages.flatMap(({ page, blocks }) =>
    blocks
      .filter(({ language }) => language === "sh")
      .map(({ line, code }) => ({ page, line, code })),
  );

  test.each(blocks)("of $page, line $line, name scripts that are there", ({ code }) => {
    for (const [, name] of code.matchAll(/npm run ([\w:-]+)(?! .*--prefix)/g)) {
      expect(Object.keys(scripts)).toContain(name);
    }
    for (const [, file] of code.matchAll(/node ((?:bench|examples|scripts)\/[\w./-]+)/g)) {
      expect(existsSync(`${root}${file}`), file).toBe(true);
    }
  });
});

describe("every block", () => {
  const all = pages.flatMap(({ page, blocks }) => blocks.map((block) => ({ page, ...block })));
  const known = new Set(["", "text", "js", "ts", "html", "json", "jsonc", "sh", "py"]);

  test("is of a language that these tests know, and JSON parses", () => {
    for (const { page, line, language, code } of all) {
      expect(known, `${page}:${line} is ${language}`).toContain(language);
      if (language === "json") JSON.parse(code);
    }
  });

  test("is run here, or by a file that it names, or says why it is not", () => {
    const byHand = all.filter(({ language }) => /^(js|ts|html|sh|py)$/.test(language));
    const silent = byHand.filter(({ language, marker }) => /^(sh|py)$/.test(language) && !marker);
    expect(silent.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
    const others = byHand.filter(({ marker }) => marker?.kind === "run by");
    for (const { page, line, marker } of others) {
      expect(existsSync(root + marker!.text), `${page}:${line}: ${marker!.text}`).toBe(true);
    }
    const not = byHand.filter(({ marker }) => marker?.kind === "not run");
    const here = byHand.filter(({ marker }) => !marker);
    const promises = here.reduce((sum, block) => sum + promisesOf(block).length, 0);
    console.info(
      [
        `${byHand.length} blocks of ${pages.length} pages: ${here.length} run here, with ${promises} printed values checked,`,
        `${others.length} by other tests, ${not.length} not:`,
        ...not.map(({ page, line, marker }) => `  ${page}:${line}: ${marker!.text}`),
      ].join("\n"),
    );
    for (const { marker } of not) expect(marker!.text).toMatch(/\w \w/);
  });
});

describe("README and the pages of the layers", () => {
  const code = pages
    .filter(({ page }) => page === "README.md" || /^docs\/(layers|losses)\//.test(page))
    .flatMap(({ blocks }) => blocks.filter(isRun).map((block) => block.code));

  test("have a block for each of the twelve calls", () => {
    const calls = ["affine", "relu", "batchnorm", "dropout"].flatMap((name) => [
      `${name}Forward`,
      `${name}Backward`,
    ]);
    for (const call of [...calls, "svmLoss", "softmaxLoss", "recalibrate", "numericalGradient"]) {
      expect(
        code.some((text) => text.includes(`${call}(`)),
        call,
      ).toBe(true);
    }
  });

  test("the networks of README and of the thirty lines learn", async () => {
    for (const [page, heading] of [
      ["README.md", "## A network in five lines"],
      ["docs/layers/README.md", "## A training by hand"],
    ] as const) {
      const block = pages
        .find((one) => one.page === page)!
        .blocks.find((one) => one.heading === heading && isRun(one))!;
      const { printed } = await resultOf(page, block);
      const losses = printed.flatMap(({ text }) => /loss ([\d.]+)/.exec(text)?.[1] ?? []);
      expect(losses.length).toBeGreaterThanOrEqual(5);
      expect(Number(losses.at(-1))).toBeLessThan(0.1);
    }
  });
});

describe("a promise", () => {
  const block = (code: string): Block => ({ line: 1, heading: "", language: "js", code });
  const said = (code: string, text: string) => () =>
    expectPrinted(block(code), { printed: [{ line: 1, text }] });

  test.each([
    ["console.log(x); // 1, 2", "Float32Array(2) [ 1, 3 ]"],
    ["console.log(x); // 1, 2", "[ 1, 2, 3 ]"],
    ["console.log(x); // 0.33", "0.34"],
    ["console.log(x); // 1e-10", "2e-10"],
    ["console.log(x); // true", "false"],
    ['console.log(x); // "strict"', "relaxed"],
  ])("of %s is broken by %s", (code, text) => {
    expect(said(code, text)).toThrow();
  });

  test.each([
    ["console.log(x); // 1, 2", "Float32Array(2) [ 1, 2 ]"],
    ["console.log(x); // [2, 3], 0.33", "[ 2, 3 ] 0.3333"],
    ["console.log(x); // 1.2e-10", "1.234e-10"],
    ['console.log(x); // "strict"', "strict"],
  ])("of %s is kept by %s", (code, text) => {
    expect(said(code, text)).not.toThrow();
  });

  test("that nothing printed is broken", () => {
    const code = "console.log(x); // 1, 2";
    expect(() => expectPrinted(block(code), { printed: [] })).toThrow();
  });
});
