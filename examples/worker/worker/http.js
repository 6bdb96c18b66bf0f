// @ts-check

/** What a client did wrong, as the answer that it gets. */
export class HttpError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {Record<string, string>} [headers]
   */
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** How much of a body that is too long is let pass by, so that its sender hears why rather than lose the connection. */
const DROPPED = 1024 * 1024;

/**
 * The body of a request, of which no more is held than `most` bytes. What the client says of its length spares work
 * where it is too much, and is not believed where it is not. A longer body is read on and dropped for a while, then cut
 * off.
 *
 * @param {Request} request
 * @param {number} most
 */
export async function readBody(request, most) {
  const bytes = new Uint8Array(most);
  let length = Number(request.headers.get("content-length"));
  try {
    if (length > most) await request.body?.cancel();
    else length = await fill(bytes, request.body?.getReader());
  } catch {
    // The client went away, or broke the rules of HTTP: nothing is wrong on this side.
    if (!(length > most)) throw new HttpError(400, "the body ended before it was whole");
  }
  if (length > most) throw new HttpError(413, `the body is longer than ${most} bytes`);
  return bytes.subarray(0, length);
}

/**
 * @param {Uint8Array} bytes Get as much of the body as they hold
 * @param {ReadableStreamDefaultReader<Uint8Array> | undefined} reader
 * @returns {Promise<number>} How many bytes there were
 */
async function fill(bytes, reader) {
  let length = 0;
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    if (length + value.length <= bytes.length) bytes.set(value, length);
    length += value.length;
    if (length > bytes.length + DROPPED) await reader.cancel();
  }
  return length;
}
