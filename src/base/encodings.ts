/** Bytes as text. `Uint8Array` has methods for it, too, but not in every Node that we run on. */

/** Two lower-case digits each. */
export function toHex(bytes: Uint8Array): string {
  return viewOf(bytes).toString('hex')
}

export function toBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64')
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
