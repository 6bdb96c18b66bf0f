// One cell of CSV that is printed.

/**
 * A spreadsheet takes a cell that begins so for a formula, quoted or not, and runs it when the file
 * is opened.
 */
const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * A text as a cell. One that a spreadsheet would run has an apostrophe in front, by which it is
 * text; numbers stay numbers. Semicolons and tabs are quoted too, as some spreadsheets separate by
 * them.
 *
 * @param isRaw leaves formulas as they are
 */
export function csvCell(text: string, isRaw: boolean): string {
  const given = !isRaw && FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(given) ? `"${given.replaceAll('"', '""')}"` : given;
}
