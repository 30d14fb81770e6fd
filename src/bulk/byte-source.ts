/** Where the bytes of a batch come from: a request's body, decoded. Main thread. */
export interface ByteSource {
  /**
   * Resolves to the next bytes, `undefined` behind the last ones. Asked again only when the bytes
   * before are done with. Rejects with BodyRefused when no more will come.
   */
  next(): Promise<Uint8Array | undefined>;
}
