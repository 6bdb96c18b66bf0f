// A task of the build: what it reads, what it writes, and how. A task whose inputs and outputs are
// those of its last run is left out, so that a build in which nothing changed takes a fraction of a
// second.

import { createHash } from "node:crypto";
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** What each task read when it last ran, and what its run returned. */
const BOOK = "build/.tasks.json";

/**
 * Every file at or below a path, in an order that does not depend on the file system. Pages in a
 * folder are left out, as nothing is made of them.
 */
function filesOf(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !name.endsWith(".md"))
    .map((entry) => join(path, entry.name))
    .sort()
    .flatMap(filesOf);
}

const contents = new Map();

/** The digest of a file's contents, read once in a build unless a task has written it since. */
function fileDigest(path) {
  if (!contents.has(path)) {
    contents.set(path, createHash("sha256").update(readFileSync(path)).digest("hex"));
  }
  return contents.get(path);
}

function digestOf(inputs) {
  const hash = createHash("sha256");
  for (const path of inputs.flatMap(filesOf)) hash.update(`${path}\n${fileDigest(path)}\n`);
  return hash.digest("hex");
}

/** The book of an earlier build; an unreadable one only costs a new build. */
function readBook() {
  try {
    return JSON.parse(readFileSync(BOOK, "utf8"));
  } catch {
    return {};
  }
}

/** Writes the book as a whole, so that a build that is killed leaves the old one. */
function writeBook(book) {
  const temporary = `${BOOK}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(book));
  renameSync(temporary, BOOK);
}

/**
 * Runs the stages one after the other, and of a stage as many tasks at once as there are
 * processors. A line says when a task begins, and another when it has ended.
 *
 * @param stages lists of tasks { name, inputs, outputs, run }. `run` is given what the runs of
 *   earlier stages returned, by the tasks' names; for a task that was left out that is what its
 *   last run returned.
 */
export async function runStages(stages) {
  const book = readBook();
  const began = performance.now();
  let ran = 0;
  const runTask = async ({ name, inputs, outputs, run }) => {
    const digest = digestOf(inputs);
    if (book[name]?.digest === digest && outputs.every((file) => existsSync(file))) return;
    // Before the work, as a step may take minutes on a busy machine, and may block this thread.
    console.error(`build: ${name} …`);
    const start = performance.now();
    const results = Object.entries(book).map(([task, { result }]) => [task, result]);
    const result = (await run(Object.fromEntries(results))) ?? null;
    for (const file of outputs) contents.delete(file);
    book[name] = { digest, result };
    writeBook(book);
    ran++;
    console.error(`build: ${name}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
  };
  for (const stage of stages) {
    const waiting = [...stage];
    const runWaiting = async () => {
      for (let task = waiting.shift(); task; task = waiting.shift()) await runTask(task);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, runWaiting));
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.error(ran === 0 ? "build: nothing has changed" : `build: done in ${seconds} s`);
}
