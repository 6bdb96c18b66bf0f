// What follows from the kernels' own declarations in assembly/: the entries of the cores, which asc compiles.
//
// The tags of a function's comment say what becomes of it:
//
//   @kernel [name]   every core exports it: by this name, or its own in snake_case; a generic one for float32 and float64,
//                    as name_f32 and name_f64
//   @serving         the core of lamella/predict exports it as well, for float32
//   @shared          only the cores for shared memory export it
//
//   node scripts/build/abi.js

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const FOLDER = "build/assembly";
const dtypes = ["f32", "f64"];

/** The tags of a function's comment: a map from each to the word behind it, or to "". */
function tagsOf(node, text) {
  const comment = ts.getJSDocCommentsAndTags(node).at(-1);
  if (!comment) return new Map();
  const tags = text.slice(comment.pos, comment.end).matchAll(/@(\w+)(?:[ \t]+(\w+))?/g);
  return new Map([...tags].map(([, tag, word]) => [tag, word ?? ""]));
}

const snakeCase = (name) => name.replace(/(?<=[a-z0-9])[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The functions with tags: { path, name, tags, isGeneric, parameters: [{ name, type }], result }. */
export function readFunctions() {
  const names = readdirSync("assembly", { recursive: true, encoding: "utf8" });
  const paths = names.map((name) => `assembly/${name.replaceAll("\\", "/")}`).sort();
  return paths
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) => {
      const text = readFileSync(path, "utf8");
      const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
      return file.statements.filter(ts.isFunctionDeclaration).flatMap((node) => {
        const tags = tagsOf(node, text);
        if (tags.size === 0) return [];
        return [
          {
            ...{ path, tags },
            name: node.name.getText(file),
            isGeneric: node.typeParameters !== undefined,
            parameters: node.parameters.map((parameter) => ({
              name: parameter.name.getText(file),
              type: parameter.type.getText(file),
            })),
            result: node.type.getText(file),
          },
        ];
      });
    });
}

/** Imports of all that the functions are in, each file as a namespace: an export may have the name of its kernel. */
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

/** Writes a file as a whole, so that no test that runs beside this reads half of one. */
function write(file, text) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}

/** Writes all of build/assembly/. */
export function writeAbi() {
  const kernels = readFunctions().filter(({ tags }) => tags.has("kernel"));
  const everywhere = kernels.filter(({ tags }) => !tags.has("shared"));
  mkdirSync(FOLDER, { recursive: true });
  write(`${FOLDER}/index.ts`, entryOf(everywhere));
  write(`${FOLDER}/shared.ts`, entryOf(kernels));
  const serving = kernels.filter(({ tags }) => tags.has("serving"));
  write(`${FOLDER}/predict.ts`, entryOf(serving, ["f32"]));
}

/** The task; `node scripts/build/abi.js` does the same by itself. */
export const abi = {
  name: "assembly/",
  inputs: ["assembly", "scripts/build/abi.js"],
  outputs: ["index", "shared", "predict"].map((entry) => `${FOLDER}/${entry}.ts`),
  run: writeAbi,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeAbi();
