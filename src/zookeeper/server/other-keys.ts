/**
 * Keys of Apache's servers that are not in the tables of `settings.ts`: what becomes of a file that has them.
 */

/** Without them a connection would be less protected than the file asks for: the server does not start. */
const SECURITY: readonly RegExp[] = [
  /^(?:ssl|quorum\.auth|enforce\.auth)\./,
  /^admin\.(?:forceHttps|needClientAuth)$/,
  /^(?:authProvider\b|requireClientAuthScheme$|kerberos\.canonicalizeHostNames$)/,
  /^(?:Digest|X509|SASL|IP)AuthenticationProvider\.(?!usexforwardedfor$)/,
]

/** Mean nothing here, or only concern how Java goes about its work. */
const WITHOUT_EFFECT: readonly RegExp[] = [
  /^observerMasterPort$/,
  /^(?:observer|learner|leader|multiAddress|quorum\.cnxn|netty|nio|commitProcessor|messageTracker)\./,
  /^(?:maxConcurrentSnapSyncs|maxConcurrentDiffSyncs|maxTimeToWaitForEpoch)$/,
  /^(?:jvm\.|audit\.|kerberos\.|tcpKeepAlive$|clientTcpKeepAlive$|clientPortListenBacklog$|fips-mode$)/,
  /^(?:maxResponseCacheSize|maxGetChildrenResponseCacheSize|flushDelay|maxBatchSize|maxWriteQueuePollTime)$/,
  /^(?:watchManagerName|watcherClean\w+|maxInProcessingDeadWatchers|bitHashCacheSize|closeSessionTxn\.enabled)$/,
  /^(?:connection\w+|connection_throttle\w+|requestThrottle\w+|requestStale\w+|request_throttler\.\w+|throttledOpWaitTime)$/,
  /^(?:advancedFlowControlEnabled|enableEagerACLCheck|digest\.enabled|serializeLastProcessedZxid\.enabled)$/,
  /^(?:largeRequest\w+|outstandingHandshake\.limit|jute\.maxbuffer\.extrasize|db\.autocreate)$/,
  /^(?:forward_learner_requests_to_commit_processor_disabled|follower\.skipLearnerRequestToNextProcessor)$/,
  /^(?:localSessionsEnabled|localSessionsUpgradingEnabled|emulate353TTLNodes|reconfigEnabled|syncEnabled)$/,
  /^(?:IPAuthenticationProvider\.usexforwardedfor|ensembleAuthName|ssl\.sslProvider|sasl\..*|quorum\.auth\.kerberos\..*)$/,
  /^(?:metricsProvider|admin)\.(?!forceHttps$|needClientAuth$)/,
]

/** Keys that are true by default in ZooKeeper, or false, and ask for nothing when they say just that. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  'ssl.crl': ['false'],
  'ssl.ocsp': ['false'],
  'ssl.quorum.crl': ['false'],
  'ssl.quorum.ocsp': ['false'],
  sslQuorumReloadCertFiles: ['false'],
  'client.certReload': ['false'],
  'admin.forceHttps': ['false'],
  'admin.needClientAuth': ['false'],
  reconfigEnabled: ['false'],
  localSessionsEnabled: ['false'],
  // An observer's log is written in any case.
  syncEnabled: ['true'],
  'multiAddress.enabled': ['false'],
  'snapshot.compression.method': ['none', ''],
}

/** Set to anything else than their harmless value, these change what the server does, and it does not. */
const NOT_THERE_YET =
  /^(?:reconfigEnabled|localSessionsEnabled|sslQuorumReloadCertFiles|client\.certReload|snapshot\.compression\.method|multiAddress\.enabled|oraclePath|java\.security\.auth\.login\.config)$/

/** What keeps the server from starting with such a key, or null. */
export function refusalOf(key: string, value: string): string | null {
  if (isHarmless(key, value) || !isIn(SECURITY, key) || isIn(WITHOUT_EFFECT, key)) return null
  return `${key} asks for security that this server does not carry out yet: remove it to go without`
}

/** What an operator is told about a key that nobody reads, or null. */
export function warningOf(key: string, value: string): string | null {
  if (isHarmless(key, value)) return null
  if (NOT_THERE_YET.test(key)) return `${key}=${value} has no effect: this version does not carry it out yet`
  if (/\w+\.\w+\.\w+/.test(value) && /class|factory|supplier/i.test(key))
    return `${key} names a Java class and has no effect here`
  if (isIn(WITHOUT_EFFECT, key)) return null
  return `${key} is no key of zoo.cfg and has no effect`
}

function isHarmless(key: string, value: string): boolean {
  return HARMLESS[key]?.some((harmless) => harmless.toLowerCase() === value.toLowerCase()) ?? false
}

function isIn(patterns: readonly RegExp[], key: string): boolean {
  return patterns.some((pattern) => pattern.test(key))
}
