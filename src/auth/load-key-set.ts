/** Fetches the text of a key set. Main thread. Loads Node's HTTP client with the first call. */

/** The issuer has so long to answer. */
const TIMEOUT_MS = 5_000;
const BYTES_MAX = 512 * 1024;

/** Rejects with one line: not reachable, not 200, too long. Redirections are not followed. */
export async function loadKeySet(url: string): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new Error(reasonOf(error));
  }
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`the issuer answered ${answer.status}`);
  }
  return textOf(answer);
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > BYTES_MAX) throw new Error(`the issuer's answer has more than ${BYTES_MAX} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** fetch says "fetch failed"; why, says its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  // Of several addresses that failed, only the code is reported.
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return cause.message === '' ? code : cause.message;
}
