/**
 * Who a certificate is about, in the one spelling that Java's `X500Principal.getName()` gives it (RFC 2253): the most
 * specific part first, no spaces between parts. ACLs and superusers are compared with it letter by letter.
 */
import { toHex } from '#base'
import { Der, Tag } from './der.ts'

/** Attributes that have a name in RFC 2253; others are written as numbers. */
const NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
}

const TEXTS: ReadonlySet<number> = new Set([
  Tag.utf8String,
  Tag.printableString,
  Tag.t61String,
  Tag.ia5String,
  Tag.generalString,
  Tag.universalString,
  Tag.bmpString,
])

/** Of a certificate in DER. Throws `MalformedBytesError`. */
export function subjectOf(certificate: Uint8Array): string {
  const fields = Der.read(certificate).child(0, Tag.sequence).children()
  // version [0], which the oldest certificates leave out; serial, signature, issuer, validity, subject
  const subject = fields[fields[0]?.tag === Tag.explicit0 ? 5 : 4]
  return subject === undefined ? '' : distinguishedName(subject)
}

/** Of a Name: a sequence of sets of attributes. */
export function distinguishedName(name: Der): string {
  return name
    .children()
    .reverse()
    .map((part) => part.children().map(attribute).join('+'))
    .join(',')
}

function attribute(pair: Der): string {
  const oid = pair.child(0, Tag.objectIdentifier).toOid()
  const value = pair.children()[1]!
  const name = NAMES[oid]
  if (name === undefined || !TEXTS.has(value.tag)) return `${name ?? oid}=#${toHex(value.whole)}`
  return `${name}=${escaped(new TextDecoder().decode(value.content))}`
}

function escaped(text: string): string {
  return text
    .replaceAll(/[,=+<>#;"\\]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[ \r]+/, (spaces) => spaces.replaceAll(/./gs, '\\$&'))
    .replace(/(?<=[^ \r])[ \r]+$/, (spaces) => spaces.replaceAll(/./gs, '\\$&'))
}
