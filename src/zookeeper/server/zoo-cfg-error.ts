/** The file cannot be used; the message says which key and what would be right. */
export class ZooCfgError extends Error {
  override name = 'ZooCfgError'
}
