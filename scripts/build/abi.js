// What follows from the declarations in assembly/: the entries of the cores, the dispatch of a
// predictor's operations, and what the facade has to know of the core.
//
// The tags in the comment of a function or a constant say what becomes of it:
//
//   @kernel [name]    every core exports the function: by this name, or its own in snake_case; a
//                     generic one for float32 and float64, as name_f32 and name_f64
//   @serving          the core of lamella/predict exports it as well, for float32
//   @shared           only the cores for shared memory export it
//   @operation kind   a predictor's operation of this kind calls it, with arguments that the names
//                     of its parameters tell
//   @workBytes kind   returns how many bytes of workspace such an operation needs
//   @packBytes kind   returns how many bytes its weights take as it reads them
//   @pack kind        writes them so, from the weights w of a model's file
//   @constant name    the facade has the constant, a plain number, by this name
//
//   node scripts/build/abi.js

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const dtypes = ["f32", "f64"];

// @inline is for scripts/build/inline_transform.js.
const known = [
  ...["kernel", "serving", "shared", "constant", "inline"],
  ...["operation", "workBytes", "packBytes", "pack"],
];

/**
 * The tags in the comment of a function or a constant: a map from each to the word behind it, or to
 * "".
 */
function tagsOf(node, { path, text }) {
  const comment = ts.getJSDocCommentsAndTags(node).at(-1);
  if (!comment) return new Map();
  const tags = text.slice(comment.pos, comment.end).matchAll(/@(\w+)(?:[ \t]+(\w+))?/g);
  const map = new Map([...tags].map(([, tag, word]) => [tag, word ?? ""]));
  for (const tag of map.keys()) {
    if (!known.includes(tag)) throw new Error(`${path}: no tag is called @${tag}`);
  }
  return map;
}

const snakeCase = (name) => name.replace(/(?<=[a-z0-9])[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/**
 * The functions with tags: { path, name, tags, isGeneric, parameters: [{ name, type }], result }.
 */
const functionsOf = (sources) =>
  sources
    .flatMap((source) =>
      source.file.statements.filter(ts.isFunctionDeclaration).map((node) => ({
        ...{ path: source.path, tags: tagsOf(node, source) },
        name: node.name.text,
        isGeneric: node.typeParameters !== undefined,
        parameters: node.parameters.map(({ name, type }) => ({
          name: name.text,
          type: type.getText(source.file),
        })),
        result: node.type.getText(source.file),
      })),
    )
    .filter(({ tags }) => tags.size > 0);

/**
 * Imports of all that the functions are in, each file as a namespace: an export may have the name
 * of its kernel.
 */
function importsOf(functions) {
  const paths = [...new Set(functions.map(({ path }) => path))];
  return paths.map(
    (path) => `import * as ${namespaceOf(path)} from "../../${path.slice(0, -3)}";\n`,
  );
}

const namespaceOf = (path) => path.slice("assembly/".length, -".ts".length).replaceAll("/", "_");

/** The text of a kernel's exports. */
function exportsOf({ path, name, tags, isGeneric, parameters, result }, kernelDtypes = dtypes) {
  return (isGeneric ? kernelDtypes : [undefined]).map((dtype) => {
    const exported = [tags.get("kernel") || snakeCase(name), dtype].filter(Boolean).join("_");
    const names = parameters.map((each) => snakeCase(each.name));
    const typed = parameters.map(({ type }, i) => `${names[i]}: ${type}`);
    const call = `${namespaceOf(path)}.${name}${dtype ? `<${dtype}>` : ""}(${names.join(", ")})`;
    const statement = result === "void" ? call : `return ${call}`;
    return `\nexport function ${exported}(${typed.join(", ")}): ${result} {\n  ${statement};\n}\n`;
  });
}

const HEADER = "// Made by scripts/build/abi.js from the declarations in assembly/.\n\n";

/** The text of an entry that exports these functions. */
const entryOf = (functions, kernelDtypes) =>
  [
    HEADER,
    ...importsOf(functions),
    ...functions.flatMap((each) => exportsOf(each, kernelDtypes)),
  ].join("");

/** Takes the next of what an operation has so many of. */
function next(list, name) {
  const field = list.shift();
  if (!field)
    throw new Error(
      `an operation has three tensors and two numbers: there is no place for ${name}`,
    );
  return field;
}

/**
 * The argument of an operation's function for a parameter.
 * @param tensors the fields for tensors that no parameter has had yet, and likewise numbers
 */
function argumentOf({ name, type }, tensors, numbers, parameters) {
  if (type === "f64") return next(numbers, name);
  if (name === "n") return "N * D";
  if (name === "C") return "M";
  // Rows of the last axis, of which an example may have several.
  const isByRow = parameters.some((each) => each.name === "C");
  if (name === "N") return isByRow ? "(N * D) / M" : "N";
  if (/^(out|x|window|work|D|M)$/.test(name)) return name;
  // An address has a name in small letters, and a count one in capitals.
  if (!/^[a-z]/.test(name)) throw new Error(`an operation knows no count ${name}`);
  return next(tensors, name);
}

/** What a predictor does by the kind of an operation, each by the tag of the functions for it. */
const dispatches = [
  { tag: "operation", name: "runOperation", more: ["N"], result: "void" },
  { tag: "workBytes", name: "workBytesOf", more: ["N"], result: "usize" },
  { tag: "packBytes", name: "packBytesOf", more: [], result: "usize" },
  { tag: "pack", name: "packWeights", more: ["w"], result: "void" },
];

/** The kinds of operations, which are numbered in the order of their names. */
const kindsOf = (functions) =>
  functions.flatMap(({ tags }) => tags.get("operation") ?? []).sort((a, b) => (a < b ? -1 : 1));

/** The text of a function that calls, for an operation, the function with this tag for its kind. */
function dispatchOf(functions, { tag, name, more, result }, fields, kinds) {
  const cases = functions.flatMap(({ path, name, tags, isGeneric, parameters }) => {
    const kind = tags.get(tag);
    if (kind === undefined) return [];
    if (!kinds.includes(kind)) throw new Error(`${path}: no operation is of kind ${kind}`);
    const tensors = ["a", "b", "c"];
    const numbers = ["value0", "value1"];
    const given = parameters.map((each) =>
      more.includes("w") && each.name === "w"
        ? "w"
        : argumentOf(each, tensors, numbers, parameters),
    );
    const call = `${namespaceOf(path)}.${name}${isGeneric ? "<T>" : ""}(${given.join(", ")})`;
    const statement = result === "void" ? `${call};\n      break;` : `return ${call};`;
    return [`    case ${kinds.indexOf(kind)}:\n      ${statement}\n`];
  });
  const used = fields.filter(
    (name) => name === "kind" || new RegExp(`\\b${name}\\b`).test(cases.join("")),
  );
  const parameters = ["operation: Operation", ...more.map((name) => `${name}: usize`)];
  return `
/** @inline */
export function ${name}<T extends number>(${parameters.join(", ")}): ${result} {
${used.map((name) => `  const ${name} = operation.${name};\n`).join("")}  switch (kind) {
${cases.join("")}${tag === "operation" ? "    default:\n      assert(false);\n" : ""}  }
${result === "void" ? "" : "  return 0;\n"}}
`;
}

/** The text of all dispatches. */
function operationsOf(functions, fields, kinds) {
  const tagged = functions.filter(({ tags }) => dispatches.some(({ tag }) => tags.has(tag)));
  const type = 'import { Operation } from "../../assembly/abi/operation";\n';
  const texts = dispatches.map((dispatch) => dispatchOf(tagged, dispatch, fields, kinds));
  return `${HEADER}${importsOf(tagged).join("")}${type}${texts.join("")}`;
}

const sizes = { u32: 4, i32: 4, usize: 4, f64: 8 };

/**
 * The fields of a class without a heap: [name, first word] of each, and last the length of the
 * whole.
 */
function layoutOf({ file }, members) {
  let end = 0;
  const offsets = members.map((member) => {
    const size = sizes[member.type.getText(file)];
    const offset = Math.ceil(end / size) * size;
    end = offset + size;
    return [member.name.text, offset / 4];
  });
  return [...offsets, ["length", Math.ceil(end / 8) * 2]];
}

/**
 * The classes that the facade writes, which are those in assembly/abi/: a map from name to layout.
 */
const layoutsOf = (sources) =>
  new Map(
    sources
      .filter(({ path }) => path.startsWith("assembly/abi/"))
      .flatMap((source) =>
        source.file.statements
          .filter(ts.isClassDeclaration)
          .map(({ name, members }) => [name.text, layoutOf(source, members)]),
      ),
  );

/** The constants with a name: [name, value] of each. */
const constantsOf = (sources) =>
  sources.flatMap((source) =>
    source.file.statements.filter(ts.isVariableStatement).flatMap((node) => {
      const name = tagsOf(node, source).get("constant");
      if (name === undefined) return [];
      const value = node.declarationList.declarations[0].initializer.getText(source.file);
      if (!/^\d+$/.test(value)) throw new Error(`${source.path}: ${name} is no plain number`);
      return [[name, value]];
    }),
  );

/**
 * What the facade knows of the core. Constant enumerations, so that bundles have the numbers alone.
 */
function facadeOf(sources, kinds, layouts) {
  const enumOf = (rows) => rows.map(([name, value]) => `  ${name} = ${value},\n`).join("");
  return `${HEADER}/** The kinds of operations. */
export const kinds = {
${kinds.map((kind, number) => `  ${kind}: ${number},\n`).join("")}} as const;

${[...layouts]
  .map(
    ([
      name,
      layout,
    ]) => `/** Where the fields of ${name} are, and how long it is, in words of four bytes. */
export const enum ${name}Words {
${enumOf(layout)}}

`,
  )
  .join("")}export const enum CoreConstants {
${enumOf(constantsOf(sources))}}
`;
}

/** Writes a file as a whole, so that no test that runs beside this reads half of one. */
function write(file, text) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}

/** The texts of all outputs, by their keys, for the sources of the core: { path, text } each. */
export function abiOf(files) {
  const sources = files.map(({ path, text }) => ({
    ...{ path, text },
    file: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true),
  }));
  const functions = functionsOf(sources);
  const kernels = functions.filter(({ tags }) => tags.has("kernel"));
  const everywhere = kernels.filter(({ tags }) => !tags.has("shared"));
  const serving = kernels.filter(({ tags }) => tags.has("serving"));
  const kinds = kindsOf(functions);
  const layouts = layoutsOf(sources);
  const fields = layouts
    .get("Operation")
    .slice(0, -1)
    .map(([name]) => name);
  return {
    index: entryOf(everywhere),
    shared: entryOf(kernels),
    predict: entryOf(serving, ["f32"]),
    operations: operationsOf(functions, fields, kinds),
    facade: facadeOf(sources, kinds, layouts),
  };
}

/** The sources of the core, in an order that does not depend on the file system. */
export function readCore() {
  const names = readdirSync("assembly", { recursive: true, encoding: "utf8" });
  const paths = names.map((name) => `assembly/${name.replaceAll("\\", "/")}`).sort();
  return paths
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

/** Writes build/assembly/ and build/abi.ts. */
export function writeAbi() {
  const texts = abiOf(readCore());
  mkdirSync("build/assembly", { recursive: true });
  for (const [key, path] of Object.entries(outputs)) write(path, texts[key]);
}

const outputs = {
  index: "build/assembly/index.ts",
  shared: "build/assembly/shared.ts",
  predict: "build/assembly/predict.ts",
  operations: "build/assembly/operations.ts",
  facade: "build/abi.ts",
};

/** The task; `node scripts/build/abi.js` does the same by itself. */
export const abi = {
  name: "assembly/",
  inputs: ["assembly", "scripts/build/abi.js"],
  outputs: Object.values(outputs),
  run: writeAbi,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeAbi();
