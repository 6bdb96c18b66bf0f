// The hosts on this machine, and one row of the table for each way into the package.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, test } from "vitest";

/** test/hosts/ */
export const here = fileURLToPath(new URL(".", import.meta.url));

/** What suite.js reports. */
export interface Report {
  failures: string[];
  passed: number;
  memory: number;
  training: Record<"float32" | "float64", string>;
  predictions: Record<"float32" | "float64", string>;
  images?: Record<"float32" | "float64", string>;
}

/** What the table says of a test. */
export interface Row {
  host: string;
  version: string;
  form: string;
  digest?: string;
}

declare module "vitest" {
  interface TaskMeta {
    row?: Row;
  }
  interface ProvidedContext {
    /** The empty project with the package installed in it. */
    folder: string;
  }
}

/** A runtime, a browser or a bundler. */
export interface Host {
  name: string;
  version: string;
  /** To be run; of a package, its folder. */
  path: string;
  /** Why it cannot be run. */
  missing?: string;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const install = "npm run hosts:install";

/** A program inside a package of test/hosts/package.json. */
export function packaged(name: string, folder: string, program: string): Host {
  const host = inPackage(name, folder);
  host.path = join(host.path, program);
  if (!host.missing && !isExecutable(host.path)) host.missing = `no ${program} in ${folder}`;
  return host;
}

/** A package of test/hosts/package.json. */
export function inPackage(name: string, folder: string): Host {
  const path = join(here, "node_modules", folder);
  try {
    const { version } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"));
    return { name, version, path };
  } catch {
    return { name, version: "", path, missing: `not installed: ${install}` };
  }
}

/** A browser of the system's. */
export function onPath(name: string, ...programs: string[]): Host {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const path = programs
    .flatMap((program) => folders.map((folder) => join(folder, program)))
    .find(isExecutable);
  if (!path) return { name, version: "", path: "", missing: `no ${programs[0]} on the PATH` };
  const text = execFileSync(path, ["--version"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return { name, version: /[\d.]+/.exec(text)?.[0] ?? "", path };
}

/** The project with the package in it: what a stranger has. */
export const project = (): string => inject("folder");

/** Writes files into a new folder of the stranger's project, and gives its path. */
export function folderWith(name: string, files: Record<string, string>): string {
  const folder = join(project(), name);
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

/** The suite's source. */
export const suiteSource: string = readFileSync(join(here, "suite.js"), "utf8");

/** The head of a module that runs it. */
export const imports = `
  import * as lamella from "lamella";
  import * as predict from "lamella/predict";
  import { suite } from "./suite.mjs";`;

/** The files in docs/hosts/README.md: a block under a line that is a file's name. */
export function filesInReadme(): Record<string, string> {
  const text = readFileSync(new URL("../../docs/hosts/README.md", import.meta.url), "utf8");
  const found = text.matchAll(/^`([\w./-]+)`\n\n```\w+\n([\s\S]*?)^```$/gm);
  return Object.fromEntries([...found].map(([, name, block]) => [name, block]));
}

/** What every host computes, to the bit. */
type Digests = Record<"training" | "predictions", string> & { images?: string };
const { threads, ...digests }: Digests & { threads: Digests } = JSON.parse(
  readFileSync(join(here, "digest.json"), "utf8"),
);
/** Of pool_suite.js. */
export const threadDigests = threads;

/** SHA-256 over the bytes of both dtypes. */
function digestOf({ float32, float64 }: Report["training"]): string {
  return createHash("sha256")
    .update(Buffer.from(float32 + float64, "hex"))
    .digest("hex");
}

/**
 * A test that is a row of the table. A host that is not there fails in CI, and is said to be not
 * run elsewhere.
 * @param run gives what the suite reported, or null where it has looked at something else
 */
export function row(
  host: Host,
  form: string,
  run: () => Promise<Report | null | undefined>,
  seconds = 60,
  due: Digests = digests,
): void {
  test(`${host.name}: ${form}`, { timeout: seconds * 1000 }, async ({ task, skip }) => {
    const entry: Row = { host: host.name, version: host.version, form };
    task.meta.row = entry;
    if (host.missing) {
      if (process.env.CI) throw new Error(`${host.name} must be there in CI: ${host.missing}`);
      skip(host.missing);
    }
    const report = await run();
    if (report === null) return;
    if (!report) throw new Error("no report came");
    expect(report.failures).toEqual([]);
    entry.digest = digestOf(report.training);
    keep(`${host.name} ${form}`, report);
    const predictions = digestOf(report.predictions);
    // The suite of threads has none.
    const images = report.images && digestOf(report.images);
    expect({ training: entry.digest, predictions, ...(images && { images }) }).toEqual(due);
  });
}

/** Bits that differ are there to be looked at. */
function keep(name: string, report: Report): void {
  const folder = fileURLToPath(new URL("../../build/hosts/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = name.replace(/[^\w.]+/g, "-");
  writeFileSync(join(folder, `${file}.json`), JSON.stringify(report, null, 1));
}

/** The report in a host's output, its last line. */
export function reportIn(stdout: string): Report {
  const line = stdout.trim().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`expected a report, got ${stdout}`);
  }
}
