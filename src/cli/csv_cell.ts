// This file writes one cell of CSV.

/**
 * A spreadsheet takes a cell that begins so for a formula, quoted or not, and runs it when the file
 * is opened.
 */
const FORMULA = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/**
 * Returns a text as a cell. A text that a spreadsheet would run gets an apostrophe in front, which
 * makes it text; numbers stay numbers. Semicolons and tabs are quoted too, as some spreadsheets
 * separate by them.
 *
 * @param isRaw leaves formulas as they are
 */
export function csvCell(text: string, isRaw: boolean): string {
  const given = !isRaw && FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(given) ? `"${given.replaceAll('"', '""')}"` : given;
}
