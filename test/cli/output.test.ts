// Where `lamella train` writes: never over what it reads, never half, and found to be impossible
// before the work begins.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { readSafetensors } from "../../src/index.ts";
import { environment } from "../package/installed.ts";
import { Folder, iris, type Outcome, outcome, program } from "./command.ts";

const folder = new Folder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

const isRoot = process.getuid?.() === 0;
/** The superuser may write anywhere, so such tests are run by nobody. */
const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
const isWindows = process.platform === "win32";

const start = (args: string[], options: object = {}): ChildProcess =>
  spawn(process.execPath, [program, "train", ...args], {
    cwd: folder.path,
    env: environment(),
    ...options,
  });
const train = (...args: string[]): Promise<Outcome> => folder.lamella("train", ...args);
const quick = ["iris.csv", "--epochs", "1", "--quiet"];
const read = (name: string) => readFileSync(at(name));
const isModel = (name: string) => readSafetensors(read(name)).metadata.get("format") === "lamella";
/** What a command of ours leaves in a folder besides its result. */
const leftIn = (path: string) => readdirSync(path).filter((name) => name.includes("lamella-"));

/** Runs a script as root of a namespace of its own, which may mount. */
const inNamespace = (script: string) =>
  spawnSync("unshare", ["-rm", "sh", "-ec", script], {
    cwd: folder.path,
    encoding: "utf8",
    env: { ...environment(), LAMELLA: `${process.execPath} ${program}` },
  });
const canMount = process.platform === "linux" && spawnSync("unshare", ["-rm", "true"]).status === 0;

let model: Buffer;
beforeAll(async () => {
  if (isRoot) chmodSync(folder.path, 0o777);
  copyFileSync(iris, at("iris.csv"));
  const { code, stderr } = await train(...quick, "--out", "model");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  model = read("model");
});

describe("an output that is an input is refused, and the input stays", () => {
  const before = 'this is "no table\n';
  beforeAll(() => {
    folder.write("d.csv", before);
    mkdirSync(at("sub"));
    symlinkSync("d.csv", at("link"));
    symlinkSync("link", at("link-to-link"));
    symlinkSync(".", at("here"));
    linkSync(at("d.csv"), at("hard"));
    folder.write("a-images-idx3-ubyte", before);
    folder.write("a-labels-idx1-ubyte", before);
    folder.write("b-labels", before);
  });

  test.concurrent.each<[string, string[], string]>([
    ["the same name", ["d.csv"], "d.csv"],
    ["another spelling", ["d.csv"], "./sub/..//d.csv"],
    ["a link", ["d.csv"], "link"],
    ["a link to a link", ["d.csv"], "link-to-link"],
    ["a folder's link", ["d.csv"], "here/d.csv"],
    ["a hard link", ["d.csv"], "hard"],
    ["an input that is a link", ["link"], "d.csv"],
    ["force", ["d.csv", "--force"], "hard"],
    ["the images", ["a-images-idx3-ubyte"], "a-images-idx3-ubyte"],
    ["the labels that are found beside them", ["a-images-idx3-ubyte"], "a-labels-idx1-ubyte"],
    [
      "the labels that an option names",
      ["a-images-idx3-ubyte", "--labels", "b-labels"],
      "b-labels",
    ],
  ])("by %s, with a line that names both", async (_, args, out) => {
    const { stdout, stderr, code } = await train(...args, "--out", out);
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    const input = args.find(
      (arg) => statSync(at(arg), { throwIfNoEntry: false })?.ino === statSync(at(out)).ino,
    );
    expect(stderr).toBe(
      `lamella train: --out: ${out} is the same file as ${input ?? "a-labels-idx1-ubyte"}, which is read\n`,
    );
    expect(read(out).toString()).toBe(before);
  });

  test("a name in other letters, where the system does not mind them", async () => {
    const ignoresCase = existsSync(at("D.CSV"));
    const { code } = await train("d.csv", "--out", "D.CSV");
    expect(code).toBe(ignoresCase ? 2 : 1); // elsewhere it is another file, and d.csv no table
    expect(read("d.csv").toString()).toBe(before);
  });

  test("the standard input", async () => {
    const child = start(["-", "--out", "d.csv"], {
      stdio: [openSync(at("d.csv"), "r"), "pipe", "pipe"],
    });
    expect(await outcome(child)).toEqual({
      stdout: "",
      stderr: "lamella train: --out: d.csv is the same file as the standard input, which is read\n",
      code: 2,
    });
  });

  test.each([
    ["predict", ["model", "iris.csv"], "iris.csv"],
    ["predict", ["model", "iris.csv"], "model"],
    ["inspect", ["model"], "model"],
    ["train", ["iris.csv", "--out", "other"], "iris.csv"],
  ])("the standard output of %s %j, appended to %s", async (command, args, name) => {
    const contents = read(name);
    const child = spawn(process.execPath, [program, command, ...args], {
      ...{ cwd: folder.path, env: environment() },
      stdio: ["ignore", openSync(at(name), "a"), "pipe"],
    });
    expect(await outcome(child)).toMatchObject({
      stderr: `lamella ${command}: the standard output is the same file as ${name}, which is read\n`,
      code: 2,
    });
    expect(read(name).equals(contents)).toBe(true);
  });
});

describe("a file that is there", () => {
  test.each(["of somebody's", "empty", "that begins as a model does"])(
    "%s is not replaced without --force",
    async (what) => {
      const name = what.replaceAll(" ", "-");
      const header = '{"__metadata__":{"format":"pt"}}';
      const other = Uint8Array.from([header.length, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(header)]);
      const contents = { empty: "", "of somebody's": "notes" }[what] ?? other;
      folder.write(name, contents);
      const { stderr, code } = await train(...quick, "--out", name);
      expect(code).toBe(2);
      expect(stderr).toBe(
        `lamella train: --out: ${name} is there and is no model that lamella wrote; --force replaces it\n`,
      );
      expect(read(name)).toEqual(Buffer.from(contents as string));
      expect(await train(...quick, "--out", name, "--force")).toMatchObject({
        code: 0,
        stderr: "",
      });
      expect(isModel(name)).toBe(true);
    },
  );

  test("and is a model is replaced", async () => {
    folder.write("again", model);
    expect(await train(...quick, "--seed", "9", "--out", "again")).toMatchObject({ code: 0 });
    expect(read("again").equals(model)).toBe(false);
    expect(isModel("again")).toBe(true);
  });

  test.skipIf(isWindows)("keeps its mode, and a link stays a link", async () => {
    mkdirSync(at("far"));
    folder.write("far/target", model);
    chmodSync(at("far/target"), 0o640);
    symlinkSync("far/target", at("through"));
    expect(await train(...quick, "--seed", "3", "--out", "through")).toMatchObject({ code: 0 });
    expect(readlinkSync(at("through"))).toBe("far/target");
    expect(lstatSync(at("far/target")).mode & 0o7777).toBe(0o640);
    expect(read("far/target").equals(model)).toBe(false);
    expect(isModel("far/target")).toBe(true);
    expect(leftIn(at("far"))).toEqual([]);
  });

  test.skipIf(isWindows)("a link to nothing yet makes what it points to", async () => {
    mkdirSync(at("deep/er"), { recursive: true });
    symlinkSync("deep/er", at("folder-link"));
    symlinkSync("../made", at("deep/er/dangling")); // deep/made, as the system sees it
    expect(await train(...quick, "--out", "folder-link/dangling")).toMatchObject({ code: 0 });
    expect(isModel("deep/made")).toBe(true);
    expect(lstatSync(at("deep/er/dangling")).isSymbolicLink()).toBe(true);
  });

  test.skipIf(!isRoot)("keeps its owner", async () => {
    folder.write("owned", model);
    execFileSync("chown", ["65534:65534", at("owned")]);
    expect(await train(...quick, "--seed", "3", "--out", "owned")).toMatchObject({ code: 0 });
    expect(statSync(at("owned"))).toMatchObject({ uid: 65_534, gid: 65_534 });
  });
});

describe("what cannot be written is told before the data are read", () => {
  beforeAll(() => {
    mkdirSync(at("closed"));
    folder.write("closed/model", model);
    mkdirSync(at("open"), { mode: 0o777 });
    folder.write("open/model", model);
    chmodSync(at("open/model"), 0o444);
    if (isRoot) chmodSync(at("open"), 0o777);
    chmodSync(at("closed"), 0o555);
    if (isWindows) return;
    symlinkSync("nowhere/at/all", at("lost"));
    symlinkSync("round", at("round"));
  });

  test.concurrent.each<[string, number, string]>([
    ["", 2, "--out: expected the name of a file, got nothing"],
    [".", 1, "--out: . is a folder"],
    ["no/where", 1, "--out: there is no folder no"],
    ["iris.csv/m", 1, "--out: iris.csv/m: a part of its path is no folder"],
    ["new/", 1, "--out: there is no folder new/"],
    [`${"x".repeat(256)}`, 1, `--out: ${"x".repeat(200)}…: the name is too long`],
    ["lost", 1, "--out: there is no folder "],
    ["round", 1, "--out: round: its links lead in a circle"],
    ["closed/new", 1, "--out: closed/new: permission denied"],
    ["open/model", 1, "--out: open/model: permission denied"],
  ])("%j in one line that says why", async (out, code, message) => {
    const result = await outcome(start(["none.csv", "--out", out], user));
    expect(result).toMatchObject({ stdout: "", code });
    expect(result.stderr.startsWith(`lamella train: ${message}`)).toBe(true);
    expect(result.stderr.trimEnd()).not.toMatch(/[\n]/);
  });

  test.skipIf(isWindows)(
    "but a file in a folder that may not be written is written into",
    async () => {
      // The folder is the superuser's or closed, the file everybody's.
      chmodSync(at("closed/model"), 0o666);
      const args = ["--epochs", "1", "--quiet", "--seed", "4", "--out", "closed/model"];
      const result = await outcome(start(["iris.csv", ...args], user));
      expect(result).toMatchObject({ stderr: "", code: 0 });
      expect(isModel("closed/model")).toBe(true);
      expect(read("closed/model").equals(model)).toBe(false);
      expect(readdirSync(at("closed"))).toEqual(["model"]);
    },
  );

  test("and the longest name that there is, is long enough", async () => {
    const name = "n".repeat(255);
    expect(await train(...quick, "--out", name)).toMatchObject({ stderr: "", code: 0 });
    expect(isModel(name)).toBe(true);
  });

  test.skipIf(!canMount)("a file system that is read-only", () => {
    const { stderr, status } = inNamespace(
      `mkdir fixed; mount -t tmpfs -o ro none fixed; $LAMELLA train none.csv --out fixed/m`,
    );
    expect(stderr).toBe("lamella train: --out: fixed/m: the file system is read-only\n");
    expect(status).toBe(1);
  });

  test.skipIf(!canMount)("a disk that is too full, before the first step", () => {
    const { stderr, stdout, status } = inNamespace(
      `mkdir small; mount -t tmpfs -o size=64k none small; head -c 61440 /dev/zero > small/rest;
       $LAMELLA train iris.csv --epochs 1000000 --json --out small/m || { ls -A small; exit 1; }`,
    );
    expect(stderr).toBe("lamella train: --out: small/m: no space left on the device\n");
    expect(stdout).toBe("rest\n");
    expect(status).toBe(1);
  });
});

describe("where nothing can be renamed", () => {
  test.skipIf(!canMount)("as on a mounted file, the model is written into it", () => {
    folder.write("below", model);
    folder.write("mounted", model);
    const { stderr, status } = inNamespace(
      `mount --bind below mounted; $LAMELLA train iris.csv --epochs 1 --quiet --seed 5 --out mounted`,
    );
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    expect(read("below").equals(model)).toBe(false);
    expect(isModel("below")).toBe(true);
    expect(leftIn(folder.path)).toEqual([]);
  });

  test.skipIf(!canMount)(
    "and the disk is full, what was there stays, and the model goes elsewhere",
    () => {
      // The file on the full disk is a small model; a larger one does not fit.
      folder.write("mounted", model);
      const { stderr, status } = inNamespace(
        `mkdir -p tight; mount -t tmpfs -o size=64k none tight; cp model tight/m; mount --bind tight/m mounted;
       head -c 100000 /dev/zero > tight/rest 2>/dev/null || true;
       $LAMELLA train iris.csv --epochs 1 --quiet --layers 512,relu --out mounted || { cmp model mounted && exit 7; }`,
      );
      const [, place] =
        /^lamella train: --out: mounted: .*; the model is in (\S+)\n$/.exec(stderr) ?? [];
      expect(stderr).toMatch(/no space left on the device; the model is in/);
      expect(status).toBe(7);
      expect(isModel(place!.slice(folder.path.length + 1))).toBe(true);
      rmSync(place!);
    },
  );
});

describe("a last write that fails all the same", () => {
  /** A training that does something once it is under way, and ends by SIGINT. */
  async function meanwhile(out: string, action: () => void): Promise<Outcome> {
    const child = start(["iris.csv", "--epochs", "1000000", "--json", "--out", out]);
    let isDone = false;
    return outcome(child, (stdout) => {
      if (isDone || !stdout.includes('"epoch":2,')) return;
      isDone = true;
      action();
      child.kill("SIGINT");
    });
  }
  const placeIn = ({ stderr }: Outcome) => {
    const [, why, place] = /^lamella train: (.*); the model is in (.*)\n$/.exec(stderr) ?? [];
    return { why, place: place as string };
  };

  test.skipIf(isWindows)(
    "because the folder is gone puts the model elsewhere and says where",
    async () => {
      mkdirSync(at("gone"));
      const result = await meanwhile("gone/m", () => rmSync(at("gone"), { recursive: true }));
      const { why, place } = placeIn(result);
      expect(why).toBe("--out: gone/m: no such file");
      expect(result.code).toBe(1);
      expect(realpathSync(place).startsWith(realpathSync(folder.path))).toBe(true);
      expect(readSafetensors(readFileSync(place)).metadata.get("kind")).toBe("model");
      rmSync(place);
    },
  );

  test.skipIf(!existsSync("/dev/full"))("because a device takes no more", async () => {
    const { code, ...rest } = await train(...quick, "--out", "/dev/full");
    expect(code).toBe(1);
    const { why, place } = placeIn({ code, ...rest });
    expect(why).toBe("--out: /dev/full: no space left on the device");
    expect(readFileSync(place).equals(model)).toBe(true);
    rmSync(place);
  });

  test("because somebody has put a file there meanwhile leaves it alone", async () => {
    const result = await meanwhile("late", () => folder.write("late", "notes"));
    const { why, place } = placeIn(result);
    expect(why).toBe(
      "--out: late is there and is no model that lamella wrote; --force replaces it",
    );
    expect(read("late").toString()).toBe("notes");
    expect(readSafetensors(readFileSync(place)).metadata.get("kind")).toBe("model");
    rmSync(place);
  });

  test.skipIf(isWindows)(
    "goes to the system's temporary folder where nothing else may be written",
    async () => {
      mkdirSync(at("shut"));
      const child = start(["../iris.csv", "--epochs", "1", "--quiet", "--out", "/dev/full"], {
        ...user,
        cwd: at("shut"),
      });
      chmodSync(at("shut"), 0o555);
      const { place } = placeIn(await outcome(child));
      expect(realpathSync(place).startsWith(realpathSync(tmpdir()))).toBe(true);
      expect(realpathSync(place).startsWith(realpathSync(folder.path))).toBe(false);
      expect(readFileSync(place).equals(model)).toBe(true);
      rmSync(place);
    },
  );
});

describe("a temporary file", () => {
  const pattern = /^\.lamella-[0-9a-f]{8}-\d+-[0-9a-f]{24}\.tmp$/;
  const temporariesIn = (name: string) =>
    readdirSync(at(name)).filter((file) => pattern.test(file));
  async function underWay(name: string): Promise<ChildProcess> {
    const child = start(["iris.csv", "--epochs", "1000000", "--json", "--out", `${name}/m`]);
    await once(child.stdout!, "data");
    return child;
  }

  test("has the space of the model from the first step on, and a name that nobody guesses", async () => {
    mkdirSync(at("space"));
    const names = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const child = await underWay("space");
      const [name, ...more] = temporariesIn("space");
      expect(more).toEqual([]);
      expect(statSync(at(`space/${name}`)).size).toBe(model.length);
      names.add(name!.slice(-28));
      child.kill("SIGTERM");
      expect((await outcome(child)).code).toBe(143);
      expect(readdirSync(at("space"))).toEqual(["m"]);
    }
    expect(names.size).toBe(2);
  });

  test.skipIf(isWindows)("goes with a process that is interrupted twice", async () => {
    mkdirSync(at("twice"));
    const child = await underWay("twice");
    expect(temporariesIn("twice")).toHaveLength(1);
    child.kill("SIGINT");
    child.kill("SIGTERM");
    const { code } = await outcome(child);
    expect([130, 143]).toContain(code);
    expect(temporariesIn("twice")).toEqual([]);
  });

  test.skipIf(isWindows)(
    "of a process that was killed is removed by the next, that of a living one is not",
    async () => {
      mkdirSync(at("killed"));
      const killed = await underWay("killed");
      killed.kill("SIGKILL");
      await once(killed, "exit");
      const [left] = temporariesIn("killed");
      expect(left).toBeDefined();
      // It may not lead away from the folder: a link of such a name goes, what it points to stays.
      const planted = left!.replace(/[0-9a-f]{24}/, "0".repeat(24));
      symlinkSync(at("model"), at(`killed/${planted}`));

      const living = await underWay("killed");
      const there = temporariesIn("killed");
      expect(there).toHaveLength(1);
      expect(there).not.toContain(left);
      expect(await train(...quick, "--out", "killed/other")).toMatchObject({ code: 0 });
      expect(temporariesIn("killed")).toEqual(there);
      expect(read("model").equals(model)).toBe(true);
      living.kill("SIGINT");
      await once(living, "exit");
      expect(readdirSync(at("killed")).sort()).toEqual(["m", "other"]);
    },
  );

  test.skipIf(isWindows)(
    "is never one that was there: a link at its name is not followed",
    async () => {
      mkdirSync(at("planted"));
      folder.write("planted/victim", "precious");
      const random = Buffer.alloc(12, 7);
      vi.resetModules();
      vi.doMock("node:crypto", async (original) => ({
        ...(await original<object>()),
        randomBytes: () => random,
      }));
      const { Output } = await import("../../src/cli/output.ts");
      vi.doUnmock("node:crypto");
      const before = readdirSync(at("planted"));
      const probe = new Output("--out", at("planted/probe"), { inputs: [] });
      probe.reserve(1);
      const [name] = readdirSync(at("planted")).filter((file) => !before.includes(file));
      probe.write(model);
      symlinkSync(at("planted/victim"), at(`planted/${name}`));
      // The guess is right, and the model is written all the same.
      const output = new Output("--out", at("planted/m"), { inputs: [] });
      symlinkSync(at("planted/victim"), at(`planted/${name}`));
      output.reserve(model.length);
      output.write(model);
      expect(isModel("planted/m")).toBe(true);
      expect(read("planted/victim").toString()).toBe("precious");
    },
  );
});

describe.skipIf(isWindows)("the standard output as the output", () => {
  const run = (script: string) =>
    spawnSync("sh", ["-c", script], {
      cwd: folder.path,
      env: { ...environment(), LAMELLA: `${process.execPath} ${program}` },
    });

  test("has the model and nothing else, as a pipe and as a file", async () => {
    const command = "$LAMELLA train iris.csv --epochs 1 --out /dev/stdout";
    expect(run(`${command} | cat`).stdout.equals(model)).toBe(true);
    expect(run(`${command} > redirected`).status).toBe(0);
    expect(read("redirected").equals(model)).toBe(true);
    const { stdout, stderr } = run(command);
    expect(stdout.equals(model)).toBe(true);
    expect(stderr.toString()).toMatch(/right on 30 examples/);
  });

  test("by a name of its own is refused", () => {
    renameSync(at("redirected"), at("twofold"));
    const { stderr, status } = run("$LAMELLA train iris.csv --epochs 1 --out twofold >> twofold");
    expect(stderr.toString()).toBe(
      "lamella train: --out: twofold is where the standard output goes\n",
    );
    expect(status).toBe(2);
    expect(read("twofold").equals(model)).toBe(true);
  });

  test("a pipe with a name passes the model on", () => {
    const { stdout } = run(
      "mkfifo pipe; $LAMELLA train iris.csv --epochs 1 --quiet --out pipe >/dev/null & cat pipe",
    );
    expect(stdout.equals(model)).toBe(true);
  });
});

test("eight at once to one file leave a whole model of one of them", async () => {
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, seed) => train(...quick, "--seed", `${seed}`, "--out", "shared")),
  );
  expect(all.map(({ code, stderr }) => `${code}${stderr}`)).toEqual(new Array(8).fill("0"));
  expect(isModel("shared")).toBe(true);
  expect(leftIn(folder.path)).toEqual([]);
});
