// The host table as markdown, from the results of the tests themselves.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** The tests, in the table's order. */
const files = [
  ...["runtimes", "frozen", "browsers", "worklets", "jest", "workerd", "next", "bundlers"],
  ...["typescript", "threads"],
];
const root = new URL("../../", import.meta.url);

/** The browsers are the system's, and move on by themselves. */
function withoutVersions(page: string): string {
  return page.replace(/^(\| [^|]+\|)[^|]+/gm, "$1");
}

export default class HostTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines: string[] = [];
    const digests = new Set<string>();
    const names = files.map((name) => `${name}.test.ts`);
    const isOf = ({ moduleId }: TestModule, name: string) => moduleId.endsWith(`/${name}`);
    const place = (module: TestModule) => names.findIndex((name) => isOf(module, name));
    let complete = names.every((name) => modules.some((module) => isOf(module, name)));
    for (const module of [...modules].sort((a, b) => place(a) - place(b))) {
      for (const test of module.children.allTests()) {
        const { row } = test.meta();
        const result = test.result();
        if (result.state !== "passed") complete = false;
        if (!row) continue;
        const outcome =
          result.state === "passed"
            ? "passes"
            : result.state === "skipped"
              ? `not run: ${result.note}`
              : "**fails**";
        const digest = row.digest?.slice(0, 12) ?? "";
        if (row.digest) digests.add(row.digest);
        lines.push(`| ${row.host} | ${row.version} | ${row.form} | ${outcome} | ${digest} |`);
      }
    }
    if (lines.length === 0) return;
    const page = [
      "# The hosts",
      "",
      "Written by `npm run test:hosts`, where every host was there and passed. Each row is a run of `test/hosts/suite.js` against",
      "the package as it is published: all twelve calls, 200 steps of training in float32 and in float64, save, load, predict. The",
      "digest is the SHA-256 over all parameters and losses of both trainings; the same digest is the same bits.",
      "",
      "The rows at the end, of one or two threads, are runs of `test/hosts/pool_suite.js`: ten steps in float32 and in float64 that",
      "are large enough for a pool, with the digest that one thread without a pool gives. Where the row says one, `threads: 2` was the error",
      'that says why, and `"auto"` said it on the console, once.',
      "",
      "A row of TypeScript compiles a program of all entries with every check on, `skipLibCheck: false`. SES and `--frozen-intrinsics`",
      "freeze all built-in objects; jsdom and AudioWorklets have no text codecs.",
      "",
      "Engines: V8 in Node, Deno, Chromium, workerd and Next.js; JavaScriptCore in Bun, as in Safari, which is not tried itself;",
      "SpiderMonkey in Firefox. Next.js runs as `next build` and `next start` with contexts that compile no bytes, as on Vercel's edge.",
      "",
      "| host | version | form | result | digest |",
      "| --- | --- | --- | --- | --- |",
      ...lines,
      "",
      ...[...digests].map((digest) => `- \`${digest}\``),
      "",
    ].join("\n");
    mkdirSync(new URL("build/", root), { recursive: true });
    writeFileSync(new URL("build/hosts.md", root), page);
    console.log(`\n${page}`);
    const table = "docs/hosts/table.md";
    if (!complete) {
      console.log(`${table} is left as it is: not every host passed`);
      return;
    }
    const file = new URL(table, root);
    const committed = existsSync(file) ? readFileSync(file, "utf8") : "";
    if (process.env.CI && withoutVersions(committed) !== withoutVersions(page)) {
      console.error(`${table} is not of these hosts: run npm run test:hosts, and commit it`);
      process.exitCode = 1;
    }
    mkdirSync(new URL(".", file), { recursive: true });
    writeFileSync(file, page);
  }
}
