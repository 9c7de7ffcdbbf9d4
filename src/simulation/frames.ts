const LENGTH_BYTES = 4

/** Whole frames out of pieces: int32 length, and so many bytes. */
export class Frames {
  #held = new Uint8Array(0)

  add(bytes: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = []
    const together = new Uint8Array(this.#held.length + bytes.length)
    together.set(this.#held)
    together.set(bytes, this.#held.length)
    const view = new DataView(together.buffer)
    let at = 0
    while (together.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + view.getInt32(at)
      if (end > together.length) break
      frames.push(together.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.#held = together.slice(at)
    return frames
  }
}
