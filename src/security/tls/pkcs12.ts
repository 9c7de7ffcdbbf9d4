/**
 * PKCS #12 files, as Java's keytool (17 and later) and openssl (3 and later) write them: certificates, and private keys that go
 * with some of them.
 *
 *     PFX → AuthenticatedSafe → ContentInfo (in the clear, or encrypted with the password) → SafeBag: certificate or key
 *
 * Source: RFC 7292 (structure, old derivation of keys), RFC 8018 (PBES2).
 */
import { createDecipheriv, createHash, createPrivateKey, pbkdf2Sync, type KeyObject } from 'node:crypto'

import { MalformedBytesError } from '#base'

import { Der, Tag } from './der.ts'

export interface Pkcs12 {
  readonly keys: readonly KeyObject[]
  /** In DER, in the order of the file. */
  readonly certificates: readonly Uint8Array[]
}

/** The password does not open it, or it is encrypted in a way that is not carried out. */
export class Pkcs12Error extends Error {
  override name = 'Pkcs12Error'
}

const Oid = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  sha1And3Des: '1.2.840.113549.1.12.1.3',
} as const

const DIGEST_OF_PRF: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
}

const CIPHERS: Readonly<Record<string, { name: string; keyBytes: number }>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24 },
}

/** A count that a file may ask for: it is worked off at once, while nobody is served. */
const ITERATIONS_MAX = 10_000_000

/** Throws `Pkcs12Error`, or `MalformedBytesError` for what is no PKCS #12 file. */
export function readPkcs12(bytes: Uint8Array, password: string): Pkcs12 {
  const safe = contentOf(Der.read(bytes).child(1, Tag.sequence), password)
  const keys: KeyObject[] = []
  const certificates: Uint8Array[] = []
  for (const info of safe.children())
    for (const bag of contentOf(info, password).children()) {
      const kind = bag.child(0, Tag.objectIdentifier).toOid()
      const value = bag.child(1, Tag.explicit0)
      if (kind === Oid.keyBag) keys.push(keyOf(value.content, ''))
      else if (kind === Oid.shroudedKeyBag) keys.push(keyOf(value.content, password))
      else if (kind === Oid.certBag) certificates.push(...certificateOf(value.inner(Tag.sequence)))
    }
  return { keys, certificates }
}

/** What a ContentInfo holds, in the clear. */
function contentOf(info: Der, password: string): Der {
  const kind = info.child(0, Tag.objectIdentifier).toOid()
  const content = info.child(1, Tag.explicit0)
  if (kind === Oid.data) return Der.read(content.inner(Tag.octetString).content)
  if (kind !== Oid.encryptedData) throw new Pkcs12Error('it is sealed with a certificate, and not with a password')
  const encrypted = content.inner(Tag.sequence).child(1, Tag.sequence)
  const ciphertext = encrypted.child(2, Tag.implicit0).content
  return Der.read(decrypted(encrypted.child(1, Tag.sequence), ciphertext, password))
}

function certificateOf(bag: Der): Uint8Array[] {
  if (bag.child(0, Tag.objectIdentifier).toOid() !== Oid.x509Certificate) return []
  return [bag.child(1, Tag.explicit0).inner(Tag.octetString).content]
}

function keyOf(der: Uint8Array, passphrase: string): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8', passphrase })
  } catch (cause) {
    throw new Pkcs12Error('the password does not open its key', { cause })
  }
}

function decrypted(algorithm: Der, ciphertext: Uint8Array, password: string): Uint8Array {
  const { name, key, iv } = keyFor(algorithm, password)
  try {
    const decipher = createDecipheriv(name, key, iv)
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  } catch (cause) {
    throw new Pkcs12Error('the password does not open it', { cause })
  }
}

function keyFor(algorithm: Der, password: string): { name: string; key: Uint8Array; iv: Uint8Array } {
  const oid = algorithm.child(0, Tag.objectIdentifier).toOid()
  const parameters = algorithm.child(1, Tag.sequence)
  if (oid === Oid.pbes2) return pbes2Key(parameters, password)
  if (oid !== Oid.sha1And3Des)
    throw new Pkcs12Error(
      `its encryption (${oid}) is not carried out, since it protects nothing any more: ` +
        'write it anew with keytool -importkeystore of Java 17',
    )
  const salt = parameters.child(0, Tag.octetString).content
  const iterations = iterationsOf(parameters.child(1, Tag.integer))
  const derive = (purpose: number, length: number): Uint8Array =>
    oldDerivation(password, salt, iterations, purpose, length)
  return { name: 'des-ede3-cbc', key: derive(1, 24), iv: derive(2, 8) }
}

function pbes2Key(parameters: Der, password: string): { name: string; key: Uint8Array; iv: Uint8Array } {
  const derivation = parameters.child(0, Tag.sequence)
  const scheme = parameters.child(1, Tag.sequence)
  const cipher = CIPHERS[scheme.child(0, Tag.objectIdentifier).toOid()]
  if (derivation.child(0, Tag.objectIdentifier).toOid() !== Oid.pbkdf2 || cipher === undefined)
    throw new Pkcs12Error('its encryption is not carried out: write it anew with keytool -importkeystore of Java 17')
  const [salt, count, ...rest] = derivation.child(1, Tag.sequence).children()
  const prf = rest.find(({ tag }) => tag === Tag.sequence)
  const digest = prf === undefined ? 'sha1' : DIGEST_OF_PRF[prf.child(0, Tag.objectIdentifier).toOid()]
  if (salt === undefined || count === undefined || digest === undefined)
    throw new MalformedBytesError('parameters of a password that are none')
  const key = pbkdf2Sync(password, salt.content, iterationsOf(count), cipher.keyBytes, digest)
  return { name: cipher.name, key, iv: scheme.child(1, Tag.octetString).content }
}

function iterationsOf(count: Der): number {
  const iterations = count.toNumber()
  if (iterations < 1 || iterations > ITERATIONS_MAX) throw new MalformedBytesError(`${iterations} rounds of a password`)
  return iterations
}

const SHA1_BLOCK_BYTES = 64

/** RFC 7292, appendix B.2, with SHA-1. `purpose` 1 gives a key, 2 an initialisation vector. */
function oldDerivation(
  password: string,
  salt: Uint8Array,
  iterations: number,
  purpose: number,
  length: number,
): Uint8Array {
  const text = new Uint8Array((password.length + 1) * 2)
  for (let at = 0; at < password.length; at++) new DataView(text.buffer).setUint16(at * 2, password.charCodeAt(at))
  const input = Buffer.concat([repeated(salt), repeated(text)])
  const parts: Uint8Array[] = []
  for (let made = 0; made < length; made += 20) {
    let digest = createHash('sha1').update(new Uint8Array(SHA1_BLOCK_BYTES).fill(purpose)).update(input).digest()
    for (let round = 1; round < iterations; round++) digest = createHash('sha1').update(digest).digest()
    parts.push(digest)
    addToBlocks(input, repeatedTo(digest, SHA1_BLOCK_BYTES))
  }
  return Buffer.concat(parts).subarray(0, length)
}

/** Up to whole blocks. */
function repeated(bytes: Uint8Array): Uint8Array {
  return repeatedTo(bytes, Math.ceil(bytes.length / SHA1_BLOCK_BYTES) * SHA1_BLOCK_BYTES)
}

function repeatedTo(bytes: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => bytes[at % bytes.length]!)
}

/** Each block of `input` becomes its sum with `block`, plus one. */
function addToBlocks(input: Uint8Array, block: Uint8Array): void {
  for (let start = 0; start < input.length; start += SHA1_BLOCK_BYTES) {
    let carry = 1
    for (let at = SHA1_BLOCK_BYTES - 1; at >= 0; at--) {
      carry += input[start + at]! + block[at]!
      input[start + at] = carry & 0xff
      carry >>= 8
    }
  }
}
