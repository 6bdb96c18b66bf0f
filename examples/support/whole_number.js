// @ts-check

/**
 * The number that an option of the command line was given.
 *
 * @param {string} name
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
export function wholeNumber(name, text, least, most) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new Error(`--${name} takes a whole number from ${least} to ${most}, got "${text}"`);
  }
  return value;
}
