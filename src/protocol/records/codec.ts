/** The numbers are those of the batch's attributes. */
export const Codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
export type Codec = (typeof Codec)[keyof typeof Codec]
export type CodecName = keyof typeof Codec

const names = Object.keys(Codec) as CodecName[]

/** Whether the number, as it came from a batch's attributes, is a codec at all. */
export function isCodec(value: number): value is Codec {
  return value >= Codec.none && value <= Codec.zstd
}

export function codecName(codec: Codec): CodecName {
  return names[codec]!
}
