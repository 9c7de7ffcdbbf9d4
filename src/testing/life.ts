/**
 * One life of a program within this process, which can end at once, as a process does that is killed: no timer fires, no byte
 * arrives, no file operation completes any more, its connections and ports are closed, its locks free. What it wrote stays.
 *
 * Everything that a program waits for comes from its platform. So a platform whose completions stop coming ends the program, as long
 * as none of it is under way at that moment: the end comes in a turn of its own.
 */
import type {
  Clock,
  ConnectOptions,
  File,
  FileLock,
  FileStat,
  FileSystem,
  ListenOptions,
  Listener,
  Network,
  Platform,
  Socket,
  SocketHandler,
  Timer,
} from '#platform'

export class Life {
  /** The world as this life sees it. */
  readonly platform: Platform
  readonly #world: Platform
  #isOver = false
  /** What the end of this life undoes. */
  readonly #held = new Set<() => void>()
  /** Operations that the world still carries out. */
  #underway = 0
  #onIdle: (() => void) | null = null

  constructor(world: Platform) {
    this.#world = world
    this.platform = {
      ...world,
      clock: new LifeClock(this, world.clock),
      files: new LifeFiles(this, world.files),
      network: new LifeNetwork(this, world.network),
    }
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Resolves when it is over and the world has finished what it was doing for it. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      this.#world.clock.nextTurn(() => {
        this.#isOver = true
        for (const undo of this.#held) undo()
        this.#held.clear()
        if (this.#underway === 0) resolve()
        else this.#onIdle = resolve
      })
    })
  }

  /** `undo` is called at the end of this life, unless the function that is returned was called before. */
  hold(undo: () => void): () => void {
    this.#held.add(undo)
    return () => void this.#held.delete(undo)
  }

  /** Runs `run` if there is still somebody to run it for. */
  unlessOver(run: () => void): void {
    if (!this.#isOver) run()
  }

  expectAlive(): void {
    if (this.#isOver) throw new Error('what was killed goes on')
  }

  /** As the promise, but it never settles once this life is over; `undo` then gets what it brought. */
  during<T>(promise: Promise<T>, undo: (value: T) => void = () => {}): Promise<T> {
    this.#underway += 1
    const done = (): void => {
      this.#underway -= 1
      if (this.#underway === 0) this.#onIdle?.()
    }
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (this.#isOver) undo(value)
          else resolve(value)
          done()
        },
        (error: unknown) => {
          if (!this.#isOver) reject(error)
          done()
        },
      )
    })
  }
}

class LifeClock implements Clock {
  readonly #life: Life
  readonly #clock: Clock

  constructor(life: Life, clock: Clock) {
    this.#life = life
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#clock.monotonic()
  }

  setTimer(delayMs: number, fire: (lateMs: number) => void): Timer {
    this.#life.expectAlive()
    const timer = this.#clock.setTimer(delayMs, (lateMs) => {
      letGo()
      fire(lateMs)
    })
    const letGo = this.#life.hold(() => timer.cancel())
    return {
      cancel() {
        letGo()
        timer.cancel()
      },
    }
  }

  endOfTurn(run: () => void): void {
    this.#clock.endOfTurn(() => this.#life.unlessOver(run))
  }

  nextTurn(run: () => void): void {
    this.#clock.nextTurn(() => this.#life.unlessOver(run))
  }
}

class LifeFiles implements FileSystem {
  readonly #life: Life
  readonly #files: FileSystem

  constructor(life: Life, files: FileSystem) {
    this.#life = life
    this.#files = files
  }

  open(path: string, mode: 'read' | 'write' | 'truncate'): File {
    this.#life.expectAlive()
    return new LifeFile(this.#life, this.#files.open(path, mode))
  }

  exists(path: string): boolean {
    return this.#files.exists(path)
  }

  stat(path: string): FileStat {
    return this.#files.stat(path)
  }

  list(path: string): string[] {
    return this.#files.list(path)
  }

  makeDirectory(path: string): void {
    this.#life.expectAlive()
    this.#files.makeDirectory(path)
  }

  rename(from: string, to: string): void {
    this.#life.expectAlive()
    this.#files.rename(from, to)
  }

  remove(path: string): void {
    this.#life.expectAlive()
    this.#files.remove(path)
  }

  removeTree(path: string): Promise<void> {
    this.#life.expectAlive()
    return this.#life.during(this.#files.removeTree(path))
  }

  readFile(path: string): Uint8Array {
    return this.#files.readFile(path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#life.during(this.#files.syncDirectory(path))
  }

  syncDirectoryNow(path: string): void {
    this.#files.syncDirectoryNow(path)
  }

  lock(path: string): FileLock {
    this.#life.expectAlive()
    const lock = this.#files.lock(path)
    const letGo = this.#life.hold(() => lock.release())
    return {
      release() {
        letGo()
        lock.release()
      },
    }
  }
}

class LifeFile implements File {
  readonly path: string
  readonly #life: Life
  readonly #file: File
  readonly #letGo: () => void

  constructor(life: Life, file: File) {
    this.path = file.path
    this.#life = life
    this.#file = file
    this.#letGo = life.hold(() => file.close())
  }

  size(): number {
    return this.#file.size()
  }

  read(into: Uint8Array, position: number): number {
    return this.#file.read(into, position)
  }

  readBehind(into: Uint8Array, position: number): number | Promise<number> {
    const count = this.#file.readBehind(into, position)
    return typeof count === 'number' ? count : this.#life.during(count)
  }

  write(chunks: readonly Uint8Array[], position: number): void | Promise<void> {
    this.#life.expectAlive()
    const writing = this.#file.write(chunks, position)
    if (writing !== undefined) return this.#life.during(writing)
  }

  sync(): Promise<void> {
    return this.#life.during(this.#file.sync())
  }

  syncNow(): void {
    this.#file.syncNow()
  }

  truncate(size: number): void {
    this.#life.expectAlive()
    this.#file.truncate(size)
  }

  close(): void {
    this.#letGo()
    this.#file.close()
  }
}

class LifeNetwork implements Network {
  readonly #life: Life
  readonly #network: Network

  constructor(life: Life, network: Network) {
    this.#life = life
    this.#network = network
  }

  get hostName(): string {
    return this.#network.hostName ?? 'localhost'
  }

  async listen(options: ListenOptions): Promise<Listener> {
    const life = this.#life
    const listening = this.#network.listen({
      ...options,
      onConnection(socket) {
        if (life.isOver) socket.destroy()
        else options.onConnection(new LifeSocket(life, socket))
      },
    })
    const listener = await life.during(listening, (late) => void late.close())
    const letGo = life.hold(() => void listener.close())
    const { host, port } = listener
    return {
      host,
      port,
      close() {
        letGo()
        return life.during(listener.close())
      },
    }
  }

  async connect(options: ConnectOptions): Promise<Socket> {
    const life = this.#life
    const socket = await life.during(this.#network.connect(options), (late) => late.destroy())
    return new LifeSocket(life, socket)
  }
}

class LifeSocket implements Socket {
  readonly #life: Life
  readonly #socket: Socket
  readonly #letGo: () => void

  constructor(life: Life, socket: Socket) {
    this.#life = life
    this.#socket = socket
    this.#letGo = life.hold(() => socket.destroy())
  }

  get remoteHost(): string {
    return this.#socket.remoteHost
  }

  get remotePort(): number {
    return this.#socket.remotePort
  }

  get localHost(): string {
    return this.#socket.localHost
  }

  get localPort(): number {
    return this.#socket.localPort
  }

  get pendingBytes(): number {
    return this.#socket.pendingBytes
  }

  /** Whether there is an `onEnd` says how the connection ends, so that it stays as it was. */
  start(handler: SocketHandler): void {
    const life = this.#life
    this.#socket.start({
      onBytes: (bytes) => life.unlessOver(() => handler.onBytes(bytes)),
      onDrain: () => life.unlessOver(() => handler.onDrain()),
      ...(handler.onEnd && { onEnd: () => life.unlessOver(() => handler.onEnd?.()) }),
      onClose: (error) => {
        this.#letGo()
        life.unlessOver(() => handler.onClose(error))
      },
    })
  }

  write(chunks: readonly Uint8Array[]): void {
    this.#socket.write(chunks)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }
}
