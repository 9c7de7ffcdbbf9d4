import type { Clock } from './clock.ts'
import type { FileSystem } from './files.ts'
import type { Http } from './http.ts'
import type { Logger } from './logger.ts'
import type { Network } from './network.ts'
import type { Random } from './random.ts'

export { sleep, type Clock, type Timer } from './clock.ts'
export {
  FileError,
  joinPath,
  makeDirectoryDurably,
  parentOf,
  replaceFile,
  type File,
  type FileLock,
  type FileStat,
  type FileSystem,
} from './files.ts'
export {
  noHttp,
  type Http,
  type HttpListenOptions,
  type HttpListener,
  type HttpRequest,
  type HttpResponse,
} from './http.ts'
export { silentLogger, type LogLevel, type Logger } from './logger.ts'
export {
  NetworkError,
  type ConnectOptions,
  type ListenOptions,
  type Listener,
  type Network,
  type Socket,
  type SocketHandler,
  type TlsConnectOptions,
  type TlsIdentity,
  type TlsListenOptions,
  type TlsOptions,
  type TlsVersion,
} from './network.ts'
export type { Random } from './random.ts'

/** The world that a process lives in. Nothing in the house reaches around it. */
export interface Platform {
  readonly clock: Clock
  readonly random: Random
  readonly files: FileSystem
  readonly network: Network
  readonly http: Http
  readonly logger: Logger
}
