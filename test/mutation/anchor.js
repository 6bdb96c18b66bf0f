// Finds the place that a mutant changes: by the name of the function, method, class or constant
// that it is in, and by a piece of that declaration's text. Files may be moved and formatted anew,
// comments changed: a mutant stays where it was.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The words and signs of a text with their places, without white space. */
function atomsOf(text, offset = 0) {
  return [...text.matchAll(/[\p{L}\p{N}_$]+|\S/gu)].map(({ 0: atom, index }) => ({
    atom,
    start: offset + index,
    end: offset + index + atom.length,
  }));
}

/**
 * Leaves out commas before a closing bracket, which a formatter puts where a list takes several
 * lines.
 */
const withoutTrailingCommas = (atoms) =>
  atoms.filter(({ atom }, i) => atom !== "," || !/^[)\]}]$/.test(atoms[i + 1]?.atom ?? ""));

/** The atoms of a node, without its comments. */
function atomsOfNode(node, file) {
  const atoms = [];
  const visit = (child) => {
    if (ts.isJSDoc(child)) return;
    const children = child.getChildren(file);
    if (children.length > 0) for (const each of children) visit(each);
    else atoms.push(...atomsOf(child.getText(file), child.getStart(file)));
  };
  visit(node);
  return withoutTrailingCommas(atoms);
}

/**
 * The named declarations of a file: functions, constants, classes, and the members of these as
 * Class.member.
 */
function* declarationsOf(file) {
  for (const statement of file.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) {
        yield [name.getText(file), statement];
      }
    } else if (statement.name) {
      const name = statement.name.getText(file);
      yield [name, statement];
      for (const member of ts.isClassDeclaration(statement) ? statement.members : []) {
        const own = ts.isConstructorDeclaration(member)
          ? "constructor"
          : member.name?.getText(file);
        yield [`${name}.${own}`, member];
      }
    }
  }
}

/**
 * All declarations of assembly/, src/ and scripts/build/ by their names: { path, node, file } each.
 */
function readDeclarations() {
  const found = new Map();
  for (const folder of ["assembly", "src", "scripts/build"]) {
    const names = readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" });
    for (const name of names.filter((each) => /\.[jt]s$/.test(each))) {
      const path = `${folder}/${name.replaceAll("\\", "/")}`;
      const text = readFileSync(root + path, "utf8");
      const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
      found.set(path, [{ path, node: file, file }]);
      for (const [declared, node] of declarationsOf(file)) {
        const others = found.get(declared) ?? [];
        found.set(declared, [...others, { path, node, file }]);
      }
    }
  }
  return found;
}

let declarations;
const atomsByNode = new Map();

/**
 * Returns where a mutant's text is: { path, start, end }. `within` is the name of a declaration, or
 * the path of a file for text that is in none. Several declarations may have one name: the text has
 * to be in one of them alone, or a part of the path stands before the name, as in "adam step".
 *
 * @throws Error where there is no such declaration, or the text is not there exactly once
 */
export function locate({ within, from }) {
  declarations ??= readDeclarations();
  const [name, part = ""] = within.split(" ").reverse();
  const candidates = declarations.get(name)?.filter(({ path }) => path.includes(part));
  if (!candidates?.length) throw new Error(`nothing is declared by the name ${within}`);
  const wanted = withoutTrailingCommas(atomsOf(from)).map(({ atom }) => atom);
  const places = [];
  for (const { path, node, file } of candidates) {
    if (!atomsByNode.has(node)) atomsByNode.set(node, atomsOfNode(node, file));
    const atoms = atomsByNode.get(node);
    for (let i = 0; i + wanted.length <= atoms.length; i++) {
      if (wanted.some((atom, k) => atom !== atoms[i + k].atom)) continue;
      places.push({ path, start: atoms[i].start, end: atoms[i + wanted.length - 1].end });
    }
  }
  if (places.length !== 1) {
    throw new Error(`the text of a mutant is ${places.length} times in ${within}: ${from}`);
  }
  return places[0];
}
