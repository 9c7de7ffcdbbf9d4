export { distinguishedName, subjectOf } from './distinguished-name.ts'
export { KeyStoreError, readAuthorities, readIdentity, type StoreOptions } from './key-stores.ts'
export { TlsNetwork } from './tls-network.ts'
