// What follows from the files of the layers, src/nn/layers/: the tables of all kinds, and the
// public names of layers and of their functional calls. A file that is added there is in all of
// them.
//
// A file exports the record of its kind as <kind>Record and <kind>Training, and the function that
// describes a layer as <kind>. These are for the tables; the public names are <kind> and everything
// else that the file exports.
//
//   node scripts/build/layers.js

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const FOLDER = "src/nn/layers";
/** The file that hands the tables on is none of a layer. */
const TABLES = "all.ts";

/** What a source exports: { name, isType } each. */
function exportsOf(path, text) {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const exported = ({ modifiers }) =>
    modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  return file.statements.filter(exported).flatMap((node) => {
    if (ts.isVariableStatement(node)) {
      return node.declarationList.declarations.map(({ name }) => ({ name: name.text }));
    }
    const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
    return [{ name: node.name.text, isType }];
  });
}

/** The layers of the sources { name, text }, by kind: { kind, source, names }. */
function kindsOf(files) {
  return files.map(({ name, text }) => {
    const names = exportsOf(name, text);
    const kind = names.find((each) => each.name.endsWith("Record"))?.name.slice(0, -6);
    for (const due of [kind, `${kind}Training`]) {
      if (!kind || !names.some((each) => each.name === due)) {
        throw new Error(`${FOLDER}/${name} must export <kind>, <kind>Record and <kind>Training`);
      }
    }
    return { kind, source: `../${FOLDER}/${name}`, names };
  });
}

const HEADER = `// Made by scripts/build/layers.js from the files in ${FOLDER}/.\n\n`;

/** The texts of both outputs. */
export function layersOf(files) {
  const kinds = kindsOf(files);
  const table = (ending) =>
    kinds.map(({ kind }) => `  ${kind}${ending ? `: ${kind}${ending}` : ""},\n`).join("");
  const tables = `${HEADER}import { type Kinds, named } from "../src/nn/engine/kinds.ts";
import type { ServingRecord, TrainingRecord } from "../src/nn/graph/record.ts";
${kinds
  .map(
    ({ kind, source }) => `import { ${kind}, ${kind}Record, ${kind}Training } from "${source}";\n`,
  )
  .join("")}
/** A predictor's bundle has these alone. */
export const records: { readonly [Kind in keyof typeof functions]: ServingRecord<Kind> } = {
${table("Record")}};

/** What is known of a kind beside its record where it is trained; without an engine. */
export const trainings: { readonly [Kind in keyof typeof functions]: TrainingRecord } = {
${table("Training")}};

const functions = {
${table("")}};

/** The description of one layer, as affine(256), relu() and the others make it. */
export type LayerSpec = ReturnType<(typeof functions)[keyof typeof functions]>;

/** The kinds that a file may name. That this names the functions brings all kinds into the program. */
export const everyKind = (): Kinds => functions && named;
`;
  const names = kinds.map(({ kind, source, names }) => {
    const isPublic = ({ name }) => name !== `${kind}Record` && name !== `${kind}Training`;
    const list = names.filter(isPublic).map(({ name, isType }) => (isType ? `type ${name}` : name));
    return `export { ${list.join(", ")} } from "${source}";\n`;
  });
  return { tables, names: HEADER + names.join("") };
}

/** Writes a file as a whole, so that no test that runs beside this reads half of one. */
function write(file, text) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}

const outputs = { tables: "build/layers.ts", names: "build/layer_names.ts" };

function writeLayers() {
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".ts") && name !== TABLES)
    .sort()
    .map((name) => ({ name, text: readFileSync(`${FOLDER}/${name}`, "utf8") }));
  const texts = layersOf(files);
  mkdirSync("build", { recursive: true });
  for (const [key, file] of Object.entries(outputs)) write(file, texts[key]);
}

/** The task; `node scripts/build/layers.js` does the same by itself. */
export const layers = {
  name: `${FOLDER}/`,
  inputs: [FOLDER, "scripts/build/layers.js"],
  outputs: Object.values(outputs),
  run: writeLayers,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeLayers();
