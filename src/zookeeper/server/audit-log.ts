/**
 * Who changed what (`audit.enable`), one line for each change in Apache's form: pairs between tabs, failures as errors, under a
 * logger of its own. Source: AuditHelper, AuditEvent, DataTree.deleteNodes.
 *
 *     session=0x1000…  user=alice,127.0.0.1  ip=127.0.0.1  operation=create  znode=/a  znode_type=persistent  result=success
 */
import type { Logger } from '#platform'
import { CreateMode, OpCode, Perms, ZkErrorCode, type Acl, type Id, hexLong } from '#zookeeper/protocol'
import type { Applied, WriteBody } from '#zookeeper/tree'

/** Whose write it is. */
export interface Author {
  readonly sessionId: bigint
  readonly ip: string
  readonly ids: readonly Id[]
}

type Result = 'success' | 'failure' | 'invoked'

interface Event {
  readonly operation: string
  readonly znode?: string
  readonly znode_type?: string
  readonly acl?: string
}

export class AuditLog {
  readonly #logger: Logger
  /** Under whom the server runs. */
  readonly #user: string

  constructor(logger: Logger, user: string) {
    this.#logger = logger.named('audit')
    this.#user = user
  }

  serverStarted(): void {
    this.#tell({ user: this.#user }, { operation: 'serverStart' }, 'success')
  }

  serverStops(): void {
    this.#tell({ user: this.#user }, { operation: 'serverStop' }, 'invoked')
  }

  written({ sessionId, ip, ids }: Author, body: WriteBody, applied: Applied): void {
    const author = { session: hexLong(sessionId), user: usersOf(ids), ip }
    const isFine = applied.err === ZkErrorCode.OK && applied.type !== OpCode.error
    if (body.type === OpCode.multi) return this.#multiWritten(author, body.ops, applied)
    const event = eventOf(body, applied.path)
    if (event !== null) this.#tell(author, event, isFine ? 'success' : 'failure')
  }

  /** With its session, which its client has closed or which has expired. */
  ephemeralDeleted(sessionId: bigint, path: string): void {
    const author = { session: hexLong(sessionId), user: this.#user }
    this.#tell(author, { operation: 'ephemeralZNodeDeletionOnSessionCloseOrExpire', znode: path }, 'success')
  }

  #multiWritten(author: Record<string, string>, ops: readonly WriteBody[], { results }: Applied): void {
    const isFine = results !== null && results.every(({ type }) => type !== OpCode.error)
    if (!isFine) return this.#tell(author, { operation: 'multiOperation' }, 'failure')
    for (const [index, op] of ops.entries()) {
      const event = eventOf(op, results[index]!.path)
      if (event !== null) this.#tell(author, event, 'success')
    }
  }

  #tell(author: Readonly<Record<string, string>>, event: Event, result: Result): void {
    const pairs = Object.entries({ ...author, ...event, result }).filter(([, value]) => value !== '')
    const line = pairs.map(([name, value]) => `${name}=${value}`).join('\t')
    if (result === 'failure') this.#logger.error(line)
    else this.#logger.info(line)
  }
}

/** `path` is what became of it; empty where it was refused. Null: not worth a line. */
function eventOf(body: WriteBody, path: string): Event | null {
  switch (body.type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return { operation: 'create', znode: path || body.path, znode_type: MODES.get(body.flags) ?? '' }
    case OpCode.delete:
    case OpCode.deleteContainer:
      return { operation: 'delete', znode: path || body.path }
    case OpCode.setData:
      return { operation: 'setData', znode: path || body.path }
    case OpCode.setACL:
      return { operation: 'setAcl', znode: path || body.path, acl: (body.acl ?? []).map(aclText).join('') }
    case OpCode.reconfig:
      return { operation: 'reconfig' }
    default:
      return null
  }
}

const MODES: ReadonlyMap<number, string> = new Map<number, string>([
  [CreateMode.persistent, 'persistent'],
  [CreateMode.ephemeral, 'ephemeral'],
  [CreateMode.persistentSequential, 'persistent_sequential'],
  [CreateMode.ephemeralSequential, 'ephemeral_sequential'],
  [CreateMode.container, 'container'],
  [CreateMode.persistentTtl, 'persistent_with_ttl'],
  [CreateMode.persistentSequentialTtl, 'persistent_sequential_with_ttl'],
])

const PERM_LETTERS = [
  [Perms.CREATE, 'c'],
  [Perms.DELETE, 'd'],
  [Perms.READ, 'r'],
  [Perms.WRITE, 'w'],
  [Perms.ADMIN, 'a'],
] as const

function aclText({ perms, id }: Acl): string {
  const letters = PERM_LETTERS.map(([perm, letter]) => ((perms & perm) === 0 ? '' : letter)).join('')
  return `${id.scheme}:${id.id}:${letters}`
}

/** Of a digest the user alone. */
function usersOf(ids: readonly Id[]): string {
  const names = ids.map(({ scheme, id }) => (scheme === 'digest' ? id.slice(0, id.indexOf(':')) : (id ?? '')))
  return names.filter((name) => name !== '').join(',')
}
