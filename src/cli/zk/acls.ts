/** The shell's commands on who may do what: ACLs and identities. */
import { versionOf, type ShellCommand } from './command.ts'
import { checkedPath, formatAcl, formatPermissions, formatStat, parseAcls, statJson } from './format.ts'
import { walk } from './trees.ts'

export const aclCommands: readonly ShellCommand[] = [
  {
    name: 'getAcl',
    usage: '[-s] path',
    description: 'who may do what with a znode (-s: with its stat)',
    flags: 's',
    words: [1, 1],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const { acl, stat } = await shell.zk.getAcl(path)
      for (const entry of acl) shell.print(formatAcl(entry))
      if (call.has('s')) shell.print(formatStat(stat))
      const entries = acl.map(({ perms, id }) => ({ ...id, permissions: formatPermissions(perms) }))
      return { path, acl: entries, stat: statJson(stat) }
    },
  },
  {
    name: 'setAcl',
    usage: '[-s] [-v version] [-R] path acl',
    description: 'say who may do what with a znode (-R: and everything below it; -v: only if its ACL has this version)',
    flags: 'sR',
    values: ['v'],
    words: [2, 2],
    async run(shell, call) {
      const path = checkedPath(call.words[0]!)
      const acl = parseAcls(call.words[1]!)
      const version = versionOf(call)
      if (call.has('R')) {
        let changed = 0
        for await (const found of walk(shell.zk, path)) {
          await shell.zk.setAcl(found, acl, version)
          changed += 1
        }
        return { path, changed }
      }
      const stat = await shell.zk.setAcl(path, acl, version)
      if (call.has('s')) shell.print(formatStat(stat))
      return { path, stat: statJson(stat) }
    },
  },
  {
    name: 'addauth',
    usage: 'scheme auth',
    description: 'say who you are: addauth digest user:password',
    words: [1, 2],
    async run(shell, call) {
      const [scheme, auth] = call.words as [string, string?]
      await shell.zk.addAuth(scheme, new TextEncoder().encode(auth ?? ''))
      return { scheme }
    },
  },
  {
    name: 'whoami',
    usage: '',
    description: 'whom the server takes you for',
    words: [0, 0],
    async run(shell) {
      const identities = await shell.zk.whoAmI()
      shell.print('Auth scheme: User')
      for (const { authScheme, user } of identities) shell.print(`${authScheme}: ${user}`)
      return { identities: identities.map(({ authScheme, user }) => ({ scheme: authScheme, user })) }
    },
  },
]
