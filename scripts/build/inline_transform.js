// Lets asc read `@inline` in the comment before a function or a constant as its decorator of that
// name: the sources of the core stay plain TypeScript, which knows no decorators there, and are
// checked and formatted as such.

import { Node } from "assemblyscript";
import { Transform } from "assemblyscript/transform";

/** Whether the comment that ends right before this place says so. */
function isInlined(text, place) {
  const before = text.slice(0, place).trimEnd();
  if (!before.endsWith("*/")) return false;
  return /@inline\b/.test(before.slice(before.lastIndexOf("/**")));
}

export default class InlineTransform extends Transform {
  afterParse({ sources }) {
    for (const { statements, text } of sources) {
      for (const statement of statements) {
        // A statement of constants has its declarations, a function is one itself.
        const isFunction = "signature" in statement;
        if (!isFunction && !("declarations" in statement)) continue;
        if (!isInlined(text, statement.range.start)) continue;
        for (const declaration of isFunction ? [statement] : statement.declarations) {
          const name = Node.createIdentifierExpression("inline", declaration.range);
          declaration.decorators = [Node.createDecorator(name, null, declaration.range)];
        }
      }
    }
  }
}
