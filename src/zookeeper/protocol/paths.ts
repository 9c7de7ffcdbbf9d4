/**
 * Why a path is none, or null when it is one. Both sides check it: the client before it sends, the server (-8,
 * BADARGUMENTS) before it believes. Source: PathUtils.validatePath.
 */
export function pathFault(path: string): string | null {
  if (path === '') return 'a path must not be empty'
  if (path.charCodeAt(0) !== SLASH) return 'a path begins with /'
  if (path.length === 1) return null
  if (path.charCodeAt(path.length - 1) === SLASH) return 'a path does not end with /'
  let start = 1
  for (let at = 1; at <= path.length; at++) {
    const unit = at === path.length ? SLASH : path.charCodeAt(at)
    if (unit === SLASH) {
      const fault = componentFault(path, start, at)
      if (fault !== null) return fault
      start = at + 1
    } else if (!isAllowed(unit)) return `a path must not contain U+${unit.toString(16).toUpperCase().padStart(4, '0')}`
  }
  return null
}

const SLASH = 0x2f
const DOT = 0x2e

function componentFault(path: string, start: number, end: number): string | null {
  const length = end - start
  if (length === 0) return 'a path has no empty component'
  if (length > 2 || path.charCodeAt(start) !== DOT) return null
  if (length === 1 || path.charCodeAt(start + 1) === DOT) return 'a path has no component . or ..'
  return null
}

/** Control characters, surrogates, the private area before U+F900 and the specials at the end are refused. */
function isAllowed(unit: number): boolean {
  if (unit < 0x7f) return unit > 0x1f
  return unit > 0x9f && (unit < 0xd800 || unit > 0xf8ff) && unit < 0xfff0
}
