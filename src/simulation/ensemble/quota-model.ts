/**
 * Quotas as the documentation describes them. Whether a write goes beyond one is judged by what is applied where it is decided, and so
 * by one of the states from what its client knew of to its own transaction: the model says what each of them allows.
 * One quota within another is counted anew, and so in another way, at each start of a server: there is none here.
 */

const QUOTA_ROOT = '/zookeeper/quota'
const LIMITS = 'zookeeper_limits'
const STATS = 'zookeeper_stats'

export interface QuotaState {
  readonly zxid: bigint
  readonly count: number
  readonly bytes: number
  /** Infinity: none. */
  readonly countMax: number
  readonly bytesMax: number
}

export interface Growth {
  readonly count: number
  readonly bytes: number
}

export function quotaPaths(path: string): { readonly folder: string; readonly limits: string; readonly stats: string } {
  const folder = `${QUOTA_ROOT}${path}`
  return { folder, limits: `${folder}/${LIMITS}`, stats: `${folder}/${STATS}` }
}

/** The path that a znode is limits or statistics of; null for all others. */
export function quotaOf(path: string): string | null {
  const folder = path.slice(0, path.lastIndexOf('/'))
  const isOfQuota = path.endsWith(`/${LIMITS}`) || path.endsWith(`/${STATS}`)
  return isOfQuota && folder.startsWith(`${QUOTA_ROOT}/`) ? folder.slice(QUOTA_ROOT.length) : null
}

export function limitsText(countMax: number, bytesMax: number): string {
  return `count=-1,bytes=-1=;byteHardLimit=${bytesMax};countHardLimit=${countMax}`
}

export function limitsOf(text: string): Pick<QuotaState, 'countMax' | 'bytesMax'> {
  const limit = (name: string): number => Number(new RegExp(`${name}=(\\d+)`).exec(text)?.[1] ?? Infinity)
  return { countMax: limit('countHardLimit'), bytesMax: limit('byteHardLimit') }
}

export function statsText({ count, bytes }: Growth): string {
  return `count=${count},bytes=${bytes}`
}

/** What the states after `from` and before `to`, and the one at `from`, say of a write that lets a subtree grow so. */
export function isBeyond(
  states: readonly QuotaState[],
  from: bigint,
  to: bigint,
  growth: Growth,
): 'always' | 'sometimes' | 'never' {
  const first = states.findLastIndex(({ zxid }) => zxid <= from)
  const relevant = states.slice(Math.max(0, first)).filter(({ zxid }) => zxid < to)
  const beyond = relevant.filter((state) => exceeds(state, growth))
  if (beyond.length === 0) return 'never'
  // Before the first of them there was no quota.
  return first >= 0 && beyond.length === relevant.length ? 'always' : 'sometimes'
}

function exceeds(state: QuotaState, { count, bytes }: Growth): boolean {
  return (count !== 0 && state.count + count > state.countMax) || (bytes !== 0 && state.bytes + bytes > state.bytesMax)
}
