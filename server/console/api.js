// The client API of the member that this page is from, as the Connect protocol has it. Whole numbers of 64 bits stay
// the texts that they come as: a Number would round them.

// A call that waits for a leader is answered by the server before this is over.
const TIMEOUT_MS = 8000;

// What went wrong. `code` is the canonical one in small letters, or 'unreachable' when nobody answered.
export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  // Whether a write may have happened all the same.
  get outcomeUnknown() {
    return ['unreachable', 'unknown', 'deadline_exceeded', 'internal'].includes(this.code);
  }
}

function errorOf(status, body) {
  // Errors of methods, and refusals of HTTP itself.
  const error = body?.error ?? body;
  return new ApiError(
      (error?.code ?? `http ${status}`).toLowerCase(), error?.message ?? `the answer has status ${status}`);
}

// call('KvService', 'Get', {key: 'a'})
export async function call(service, method, request, timeoutMs = TIMEOUT_MS) {
  let response;
  let body;
  try {
    response = await fetch(`/raftkv.v1.${service}/${method}`, {
      method: 'POST',
      headers: {'Content-Type': 'application/json', 'Connect-Timeout-Ms': String(timeoutMs)},
      body: JSON.stringify(request),
      cache: 'no-store',
      signal: AbortSignal.timeout(timeoutMs + 2000),
    });
    body = await response.json();
  } catch (error) {
    if (response === undefined || response.ok) {
      throw new ApiError('unreachable', 'the member does not answer');
    }
  }
  if (!response.ok) {
    throw errorOf(response.status, body);
  }
  return body;
}
