// Jest with jsdom, whose realm has neither TextDecoder nor TextEncoder nor structuredClone.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { filesInReadme, folderWith, imports, inPackage, row, suiteSource } from "./hosts.ts";
import { run } from "./processes.ts";

const jest = inPackage("Jest", "jest");
const jsdom = inPackage("jsdom", "jest-environment-jsdom");
if (jsdom.missing) jest.missing ??= jsdom.missing;

const forms = [
  {
    form: "jsdom, `require`",
    test: "suite.test.cjs",
    files: {
      "suite.cjs": `${suiteSource.replace("export async function", "async function")}
        module.exports = { suite };`,
      "suite.test.cjs": `
        const lamella = require("lamella");
        const predict = require("lamella/predict");
        const { suite } = require("./suite.cjs");`,
    },
    flags: [],
  },
  {
    form: "jsdom, `import`",
    test: "suite.test.mjs",
    files: { "suite.mjs": suiteSource, "suite.test.mjs": imports },
    flags: ["--experimental-vm-modules"],
  },
];

for (const { form, test, files, flags } of forms) {
  row(
    jest,
    form,
    async () => {
      const body = `
        const missing = ["TextDecoder", "TextEncoder", "structuredClone"];
        it("computes", async () => {
          expect(typeof document).toBe("object");
          for (const name of missing) expect(typeof globalThis[name]).toBe("undefined");
          globalThis.report(await suite({ lamella, predict }));
        }, 50_000);`;
      const sources: Record<string, string> = { ...files };
      const cwd = folderWith(`jest-${flags.length}`, {
        ...sources,
        [test]: sources[test] + body,
        // In the outer realm, so that the tests need no module of Node's.
        "environment.cjs": `
          const { TestEnvironment } = require(${JSON.stringify(jsdom.path)});
          module.exports = class extends TestEnvironment {
            async setup() {
              await super.setup();
              this.global.report = (report) =>
                require("node:fs").writeFileSync(__dirname + "/report.json", JSON.stringify(report));
            }
          };`,
        "package.json": JSON.stringify({
          private: true,
          jest: {
            ...{ testEnvironment: "./environment.cjs", transform: {}, watchman: false },
            ...{ testMatch: ["**/suite.test.*"], cacheDirectory: "./cache" },
            moduleFileExtensions: ["js", "cjs", "mjs", "json"],
          },
        }),
      });
      const args = [...flags, join(jest.path, "bin/jest.js"), "--ci", "--runInBand"];
      await run(process.execPath, args, { cwd });
      return JSON.parse(readFileSync(join(cwd, "report.json"), "utf8"));
    },
    120,
  );
}

row(jest, "jsdom, the test of docs/hosts/README.md", async () => {
  const { "model.test.js": test } = filesInReadme();
  if (!test) throw new Error("the page has no model.test.js");
  const cwd = folderWith("jest-page", {
    // The name of the environment is found from the folder; here its path stands for it.
    "model.test.js": test.replace("jest-environment jsdom", `jest-environment ${jsdom.path}`),
    "package.json": JSON.stringify({ private: true, jest: { transform: {}, watchman: false } }),
  });
  const { stderr } = await run(process.execPath, [join(jest.path, "bin/jest.js"), "--ci"], { cwd });
  if (!/^Tests: +1 passed, 1 total$/m.test(stderr)) throw new Error(stderr);
  return null;
});
