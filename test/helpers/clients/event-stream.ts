/**
 * Server-sent events as the WHATWG's standard has an EventSource read them (HTML, section 9.2.6): what is
 * dispatched of the beginning of a stream, and which Last-Event-ID is kept. Tests only.
 */

export interface DispatchedEvent {
  readonly name: string;
  readonly data: string;
  /** The last event id as it is when the event is dispatched. */
  readonly lastEventId: string;
}

export interface ReadStream {
  readonly events: readonly DispatchedEvent[];
  /** What a client that is cut off here sends with its next request; '' = no header. */
  readonly lastEventId: string;
  readonly retryMs: number | undefined;
}

/** Reads `text`; `kept` is the Last-Event-ID that the client had before. */
export function readEventStream(text: string, kept = ''): ReadStream {
  const events: DispatchedEvent[] = [];
  let lastEventId = kept;
  let retryMs: number | undefined;
  let name = '';
  let data = '';
  let id = kept;
  // A line that isn't ended isn't read.
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '') {
      lastEventId = id;
      if (data !== '')
        events.push({ name: name || 'message', data: data.slice(0, -1), lastEventId });
      name = '';
      data = '';
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    else if (field === 'data') data += `${value}\n`;
    else if (field === 'id') id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) retryMs = Number(value);
  }
  return { events, lastEventId, retryMs };
}
