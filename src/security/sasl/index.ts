export {
  DigestMd5Client,
  DigestMd5Server,
  SaslError,
  type Authenticated,
  type DigestMd5ClientOptions,
  type DigestMd5ServerOptions,
} from './digest-md5.ts'
export { JaasError, loginOf, parseJaas, usersOf, type JaasConfig, type LoginModule } from './jaas.ts'
