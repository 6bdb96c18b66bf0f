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
  const tooLong = () => new HttpError(413, `the body is longer than ${most} bytes`);
  if (Number(request.headers.get("content-length")) > most) {
    await request.body?.cancel();
    throw tooLong();
  }
  const bytes = new Uint8Array(most);
  let length = 0;
  const reader = request.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    if (length + value.length <= most) bytes.set(value, length);
    length += value.length;
    if (length > most + DROPPED) await reader.cancel();
  }
  if (length > most) throw tooLong();
  return bytes.subarray(0, length);
}
