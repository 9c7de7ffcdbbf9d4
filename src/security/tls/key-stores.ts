/**
 * Key stores and trust stores as people have them for Java's programs: PEM and PKCS #12 files. What comes out is PEM, whatever
 * went in. Source: X509Util, PEMFileLoader, KeyStoreFileType.
 */
import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto'

import { MalformedBytesError } from '#base'
import { FileError, type FileSystem, type TlsIdentity } from '#platform'

import { Pkcs12Error, readPkcs12 } from './pkcs12.ts'

export interface StoreOptions {
  /** File name. */
  readonly location: string
  /** Empty for none. */
  readonly password: string
  /** PEM or PKCS12, in any case; null: the file name's ending tells. */
  readonly type: string | null
}

/** A store cannot be used; the message says which and what would be right. */
export class KeyStoreError extends Error {
  override name = 'KeyStoreError'
}

interface Contents {
  readonly keys: readonly KeyObject[]
  readonly certificates: readonly X509Certificate[]
}

/** The only private key with its certificate and those that lead up from there. Throws `KeyStoreError`. */
export function readIdentity(files: FileSystem, store: StoreOptions): TlsIdentity {
  const { keys, certificates } = readStore(files, store)
  const [key, ...others] = keys
  if (key === undefined) throw new KeyStoreError(`${store.location} holds no private key`)
  if (others.length > 0)
    throw new KeyStoreError(`${store.location} holds ${keys.length} private keys: leave one of them`)
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (own === undefined) throw new KeyStoreError(`${store.location} holds no certificate of its private key`)
  return { certificates: chainFrom(own, certificates), key: key.export({ type: 'pkcs8', format: 'pem' }) }
}

/** The certificates that are believed, in PEM. Throws `KeyStoreError`. */
export function readAuthorities(files: FileSystem, store: StoreOptions): string[] {
  const { certificates } = readStore(files, store)
  if (certificates.length === 0) throw new KeyStoreError(`${store.location} holds no certificates`)
  return certificates.map(String)
}

function chainFrom(own: X509Certificate, certificates: readonly X509Certificate[]): string {
  const chain = [own]
  for (let last = own; !last.checkIssued(last);) {
    const issuer = certificates.find((candidate) => last.checkIssued(candidate) && !chain.includes(candidate))
    if (issuer === undefined) break
    chain.push(issuer)
    last = issuer
  }
  return chain.map(String).join('')
}

function readStore(files: FileSystem, { location, password, type }: StoreOptions): Contents {
  const kind = (type ?? location.split('.').at(-1)!).toUpperCase()
  const bytes = readFile(files, location)
  if (isJavaKeyStore(bytes) || kind === 'JKS')
    throw new KeyStoreError(
      `${location} is in Java's own format (JKS), which only Java reads. Convert it: keytool -importkeystore ` +
        `-srckeystore ${location} -destkeystore ${location.replace(/\.jks$/i, '')}.p12 -deststoretype PKCS12`,
    )
  try {
    if (kind === 'PEM') return readPem(new TextDecoder().decode(bytes), password)
    if (kind === 'PKCS12' || kind === 'P12' || kind === 'PFX') {
      const { keys, certificates } = readPkcs12(bytes, password)
      return { keys, certificates: certificates.map((der) => new X509Certificate(der)) }
    }
  } catch (cause) {
    const { message } = cause as Error
    const reason = cause instanceof Pkcs12Error ? message : `it is damaged, or is no ${kind} file (${message})`
    throw new KeyStoreError(`${location} cannot be read: ${reason}`, { cause })
  }
  throw new KeyStoreError(
    type === null
      ? `${location}: its ending tells no type. Name it .pem or .p12, or give the store's type`
      : `${location} is of type ${type}: PEM and PKCS12 are read`,
  )
}

function readFile(files: FileSystem, location: string): Uint8Array {
  try {
    return files.readFile(location)
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause
    throw new KeyStoreError(`${location} cannot be read (${cause.code})`, { cause })
  }
}

/** The magic numbers of JKS and JCEKS. */
function isJavaKeyStore(bytes: Uint8Array): boolean {
  const magic = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  return magic === 0xfeedfeed || magic === 0xcececece
}

function readPem(text: string, password: string): Contents {
  const keys: KeyObject[] = []
  const certificates: X509Certificate[] = []
  for (const [block, label] of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs)) {
    if (label!.endsWith('PRIVATE KEY')) keys.push(keyOf(block, password))
    else if (label!.endsWith('CERTIFICATE')) certificates.push(new X509Certificate(block))
  }
  if (keys.length + certificates.length === 0)
    throw new MalformedBytesError('there is no BEGIN of a key or certificate')
  return { keys, certificates }
}

function keyOf(pem: string, password: string): KeyObject {
  try {
    return createPrivateKey(password === '' ? pem : { key: pem, passphrase: password })
  } catch (cause) {
    throw new Pkcs12Error('the password does not open its private key', { cause })
  }
}
