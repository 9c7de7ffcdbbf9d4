/**
 * Java's login configuration (JAAS), the file that `-Djava.security.auth.login.config` names:
 *
 *     Server {
 *       org.apache.zookeeper.server.auth.DigestLoginModule required
 *       user_alice="secret"
 *       user_bob="other";
 *     };
 *
 * Source: javax.security.auth.login.Configuration, sun.security.provider.ConfigFile.
 */
export interface LoginModule {
  /** The Java class. */
  readonly module: string
  readonly flag: string
  readonly options: ReadonlyMap<string, string>
}

/** The modules of each section, by its name. */
export type JaasConfig = ReadonlyMap<string, readonly LoginModule[]>

/** The text is no login configuration, or a section is not what is needed; the message says where and what would be right. */
export class JaasError extends Error {
  override name = 'JaasError'
}

const FLAGS = ['required', 'requisite', 'sufficient', 'optional']

/** Throws `JaasError`. */
export function parseJaas(text: string): JaasConfig {
  const tokens = new Tokens(text)
  const sections = new Map<string, LoginModule[]>()
  while (!tokens.atEnd) {
    const name = tokens.takeWord('the name of a section')
    if (sections.has(name)) tokens.fail(`section ${name} is there twice`)
    tokens.take('{', `after the section's name ${name}`)
    const modules: LoginModule[] = []
    while (!tokens.is('}')) modules.push(moduleOf(tokens))
    tokens.take('}', `at the end of section ${name}`)
    tokens.take(';', `after the } of section ${name}`)
    sections.set(name, modules)
  }
  return sections
}

function moduleOf(tokens: Tokens): LoginModule {
  const module = tokens.takeWord('the class of a login module, or }')
  const flag = tokens.takeWord(`one of ${FLAGS.join(', ')}`).toLowerCase()
  if (!FLAGS.includes(flag)) tokens.fail(`"${flag}" is none of ${FLAGS.join(', ')}`)
  const options = new Map<string, string>()
  while (!tokens.is(';')) {
    const key = tokens.takeWord('an option, or ; after the last one')
    tokens.take('=', `after ${key}`)
    options.set(key, tokens.takeWord(`the value of ${key}`))
  }
  tokens.take(';', `after the options of ${module}`)
  return { module, flag, options }
}

interface Token {
  readonly text: string
  readonly line: number
  /** A word or a text in quotes, and no sign. */
  readonly isWord: boolean
}

class Tokens {
  readonly #tokens: Token[] = []
  #at = 0

  constructor(text: string) {
    const pattern = /\s+|\/\/[^\n]*|\/\*.*?\*\/|"((?:\\.|[^"\\\n])*)"|'((?:\\.|[^'\\\n])*)'|([{};=])|([^\s{};="']+)/gsy
    let line = 1
    while (pattern.lastIndex < text.length) {
      const match = pattern.exec(text)
      if (match === null) throw new JaasError(`line ${line}: a quotation mark that is not closed`)
      const [whole, double, single, sign, word] = match
      const inQuotes = double ?? single
      if (inQuotes !== undefined) this.#tokens.push({ text: unescaped(inQuotes), line, isWord: true })
      else if (sign !== undefined) this.#tokens.push({ text: sign, line, isWord: false })
      else if (word !== undefined) this.#tokens.push({ text: word, line, isWord: true })
      line += whole.split('\n').length - 1
    }
  }

  get atEnd(): boolean {
    return this.#at === this.#tokens.length
  }

  is(sign: string): boolean {
    const next = this.#tokens[this.#at]
    return next !== undefined && !next.isWord && next.text === sign
  }

  take(sign: string, where: string): void {
    if (!this.is(sign)) this.fail(`${sign} is missing ${where}`)
    this.#at++
  }

  takeWord(what: string): string {
    const next = this.#tokens[this.#at]
    if (next === undefined || !next.isWord) return this.fail(`${what} is missing`)
    this.#at++
    return next.text
  }

  fail(message: string): never {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1)
    const found = this.atEnd ? 'the end' : `"${token!.text}"`
    throw new JaasError(`line ${token?.line ?? 1}: ${message}; found ${found}`)
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f', b: '\b' }

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, character: string) => ESCAPES[character] ?? character)
}

const DIGEST_MODULE = /(?:^|\.)DigestLoginModule$/
const USER_PREFIX = 'user_'

/** The passwords of the users that a server's section names, by user. Throws `JaasError`. */
export function usersOf(config: JaasConfig, section: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>()
  for (const { options } of digestModulesOf(config, section))
    for (const [key, value] of options) if (key.startsWith(USER_PREFIX)) users.set(key.slice(USER_PREFIX.length), value)
  return users
}

/** Who a client's section says to be. Throws `JaasError`. */
export function loginOf(config: JaasConfig, section: string): { user: string; password: string } {
  for (const { options } of digestModulesOf(config, section)) {
    const user = options.get('username')
    const password = options.get('password')
    if (user !== undefined && password !== undefined) return { user, password }
  }
  throw new JaasError(`section ${section} has no username and password`)
}

function digestModulesOf(config: JaasConfig, section: string): readonly LoginModule[] {
  const modules = config.get(section)
  if (modules === undefined || modules.length === 0) throw new JaasError(`there is no section ${section}`)
  for (const { module } of modules)
    if (!DIGEST_MODULE.test(module))
      throw new JaasError(`section ${section} asks for ${module}: only DigestLoginModule (DIGEST-MD5) is carried out`)
  return modules
}
