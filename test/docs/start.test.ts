// docs/start.md, followed to the letter in an empty project that has the package as npm installs
// it.

import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort, Program } from "../hosts/processes.ts";
import { Project, run } from "../package/installed.ts";
import { attack } from "../support/hostile_requests.ts";
import { pages } from "./pages.ts";

const { text } = pages.find(({ page }) => page === "docs/start.md")!;
const project = new Project();

beforeAll(async () => {
  await project.install();
  await run("npm", ["pkg", "set", "type=module"], project.folder);
  for (const [, name, code] of text.matchAll(/^`([\w.]+)`\n\n```\w+\n([\s\S]*?)^```$/gm)) {
    project.write(name!, code!);
  }
}, 120_000);
afterAll(() => project.remove());

test("train.js learns and keeps the network, and serve.js answers by it", async () => {
  const { stdout } = await run(process.execPath, ["train.js"], project.folder);
  expect(stdout.match(/^epoch \d+: loss [\d.]+$/gm)).toHaveLength(4);

  const port = await freePort();
  const env = { PORT: String(port) };
  const server = new Program(process.execPath, ["serve.js"], { cwd: project.folder, env });
  try {
    await server.untilAnswers(`http://127.0.0.1:${port}/`);
    const ask = (query: string) =>
      fetch(`http://127.0.0.1:${port}/?${query}`).then((answer) => answer.text());
    expect(await ask("x=0.1&y=0.2")).toBe("inside\n");
    expect(await ask("x=2&y=-2")).toBe("outside\n");
    for (const query of ["", "x=1", "x=&y=1", "x=1e39&y=0", "x=one&y=2", "x=NaN&y=2", "%E0%A4%A"]) {
      const answer = await fetch(`http://127.0.0.1:${port}/?${query}`);
      expect([query, answer.status, await answer.text()]).toEqual([
        query,
        400,
        "expected ?x=…&y=… with two numbers\n",
      ]);
    }
    await attack(port, async () => expect(await ask("x=0.1&y=0.2")).toBe("inside\n"));
    expect(server.child.exitCode).toBe(null);
  } finally {
    server.end();
  }
});

test("index.html finds the package where npm puts it", () => {
  const [, path] = /"lamella": "\.\/node_modules\/lamella\/(.*?)"/.exec(text)!;
  expect(project.files()).toContain(path);
});
