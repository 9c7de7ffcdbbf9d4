/** What `samsa produce` reads: the terminal or a pipe as they come, and a file in large pieces. */
import { once } from 'node:events'
import { close, createReadStream, fstatSync, open, read, type ReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'

import { UserError } from './user-error.ts'

export interface Input extends AsyncIterable<Uint8Array | string> {
  /** Nothing more is wanted: whoever iterates gets the end or an error, soon. May be called more than once. */
  end(): void
}

const PIECE_BYTES = 256 * 1024
/** Its file descriptor. */
const STDIN = 0

/** Throws `UserError` for a file that cannot be read. A file that the shell has opened is read as one that is named. */
export async function openInput(path: string | undefined): Promise<Input> {
  if (path === undefined) return fstatSync(STDIN).isFile() ? new FilePieces(STDIN) : streamed(process.stdin)
  try {
    const fd = await promisify(open)(path, 'r')
    if (fstatSync(fd).isFile()) return new FilePieces(fd)
    await promisify(close)(fd)
    const stream: ReadStream = createReadStream(path)
    await once(stream, 'open')
    return streamed(stream)
  } catch (error) {
    throw new UserError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}): name an existing file`)
  }
}

function streamed(stream: Readable): Input {
  return { [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](), end: () => void stream.destroy() }
}

/**
 * A file from front to back, once. Two buffers take turns: one is filled while the other is worked on, so that a piece is valid
 * until the next one is asked for. Nothing else is made per piece, which a stream does.
 */
class FilePieces implements Input {
  readonly #fd: number
  #isEnded = false

  constructor(fd: number) {
    this.#fd = fd
  }

  end(): void {
    this.#isEnded = true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const readInto = promisify(read)
    let [current, other] = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)]
    let reading = readInto(this.#fd, current, 0, PIECE_BYTES, null)
    try {
      while (!this.#isEnded) {
        const { bytesRead } = await reading
        if (bytesRead === 0) return
        reading = readInto(this.#fd, other, 0, PIECE_BYTES, null)
        yield current.subarray(0, bytesRead)
        ;[current, other] = [other, current]
      }
    } finally {
      await reading.catch(() => {})
      await promisify(close)(this.#fd)
    }
  }
}
