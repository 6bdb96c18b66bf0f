// The package as a stranger gets it: packed, and installed from the tarball into an empty project.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Output {
  stdout: string;
  stderr: string;
}

/** The environment as in a shell of one's own: nothing of what `npm test` adds. */
export function environment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|VITEST)/i.test(name)),
  );
}

/** Runs a program to its end, as if from a shell of one's own. */
export function run(program: string, args: readonly string[], cwd: string): Promise<Output> {
  const options = { cwd, env: environment(), timeout: 60_000, killSignal: "SIGKILL" } as const;
  return promisify(execFile)(program, args, options);
}

export interface Manifest {
  name: string;
  version: string;
  license: string;
  files: string[];
  engines: { node: string };
  sideEffects: boolean;
  scripts?: Record<string, string>;
  [dependencies: `${string}ependencies`]: Record<string, string> | undefined;
}

/** An empty project with the package installed in it. */
export class Project {
  /** A folder for the time of the tests, from install to remove. */
  folder = "";
  /** The path of what was packed. */
  tarball = "";
  /** The tarball's bytes, and those of the files in it. */
  packedSize = 0;
  unpackedSize = 0;

  async install(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "lamella-package-"));
    this.folder = folder;
    const pack = ["pack", "--ignore-scripts", "--pack-destination", folder];
    await run("npm", pack, root);
    const [tarball] = readdirSync(folder);
    this.write("package.json", JSON.stringify({ name: "stranger", private: true }));
    const flags = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...flags, `./${tarball}`], folder);
    this.tarball = join(folder, tarball!);
    this.packedSize = statSync(this.tarball).size;
    for (const file of this.files()) {
      this.unpackedSize += statSync(join(this.package, file)).size;
    }
  }

  /** The folder of the installed package. */
  get package(): string {
    return join(this.folder, "node_modules/lamella");
  }

  get manifest(): Manifest {
    return JSON.parse(readFileSync(join(this.package, "package.json"), "utf8"));
  }

  /** Paths inside the installed package, sorted. */
  files(): string[] {
    return readdirSync(this.package, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.package.length + 1))
      .sort();
  }

  read(file: string): string {
    return readFileSync(join(this.package, file), "utf8");
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /**
   * What a script prints in a process of its own; its name's ending says which module kind it is.
   */
  async node(name: string, text: string, flags: string[] = []): Promise<string> {
    this.write(name, text);
    return (await run(process.execPath, [...flags, name], this.folder)).stdout.trim();
  }

  remove(): void {
    if (this.folder === "") return;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
