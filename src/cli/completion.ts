/** `samsa completion bash|zsh`: what a shell needs to complete commands, options and their values, from the tree of commands. Pure. */
import type { Command, Option } from 'commander'

export type Shell = 'bash' | 'zsh'

interface Node {
  /** From the program on, with spaces between them. */
  readonly path: string
  readonly name: string
  readonly description: string
  readonly options: readonly OptionNode[]
  readonly commands: readonly Node[]
  /** Words that the first argument may be. */
  readonly choices: readonly string[]
  /** What the first argument is called; null without arguments. */
  readonly argument: string | null
}

interface OptionNode {
  readonly names: readonly string[]
  readonly description: string
  /** What its value is called; null where it has none. */
  readonly value: string | null
  readonly choices: readonly string[]
}

export function completionScript(program: Command, shell: Shell): string {
  const root = nodeOf(program, program.name())
  return shell === 'bash' ? bashScript(root) : zshScript(root)
}

function nodeOf(command: Command, path: string): Node {
  const help = command.createHelp()
  const [argument] = command.registeredArguments
  return {
    path,
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map(optionNode),
    commands: help.visibleCommands(command).map((child) => nodeOf(child, `${path} ${child.name()}`)),
    choices: argument?.argChoices ?? [],
    argument: argument?.name() ?? null,
  }
}

function optionNode({ short, long, flags, description, argChoices }: Option): OptionNode {
  return {
    names: [short, long].filter((name) => name !== undefined),
    description,
    value: /<(?<value>[^>]+)>/.exec(flags)?.groups!['value'] ?? null,
    choices: argChoices ?? [],
  }
}

function nodesOf(node: Node): Node[] {
  return [node, ...node.commands.flatMap(nodesOf)]
}

/**
 * The words before the cursor lead to a command; a value is completed after an option that takes one, and else options, commands and
 * choices are offered. Where nothing is, the shell offers files.
 */
function bashScript(root: Node): string {
  const nodes = nodesOf(root)
  const descents = nodes.filter((node) => node !== root).map((node) => `      '${node.path}') path="$path $word" ;;`)
  const values = nodes.flatMap((node) =>
    node.options
      .filter(({ value }) => value !== null)
      .map(({ names, choices }) => {
        const pattern = names.map((name) => `'${node.path} ${name}'`).join(' | ')
        return `    ${pattern}) words='${choices.join(' ')}' ;;`
      }),
  )
  const offers = nodes.map(({ path, options, commands, choices }) => {
    const words = [...commands.map(({ name }) => name), ...choices, ...options.flatMap(({ names }) => names)]
    return `        '${path}') words='${words.join(' ')}' ;;`
  })
  return `# bash completion of ${root.name}: source it, e.g. in ~/.bashrc: source <(${root.name} completion bash)
_${root.name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  local path='${root.name}' words='' word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$path $word" in
${descents.join('\n')}
    esac
  done
  case "$path $previous" in
${values.join('\n')}
    *)
      case "$path" in
${offers.join('\n')}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${root.name} ${root.name}
`
}

function zshScript(root: Node): string {
  return `#compdef ${root.name}
# zsh completion of ${root.name}: source it in ~/.zshrc after compinit: source <(${root.name} completion zsh)
${nodesOf(root).map(zshFunction).join('\n')}
if [ "$funcstack[1]" = "_${root.name}" ]; then
  _${root.name} "$@"
else
  compdef _${root.name} ${root.name}
fi
`
}

function zshFunction(node: Node): string {
  const options = node.options.map((option) => `    ${zshOption(option)} \\`)
  const name = zshName(node)
  if (node.commands.length === 0)
    return `${name}() {
  _arguments -s \\
${options.join('\n')}
    ${zshArgument(node)}
}
`
  const commands = node.commands.map(
    (child) => `        ${quoted(`${escapedColons(child.name)}:${child.description}`)}`,
  )
  const branches = node.commands.map((child) => `        ${child.name}) ${zshName(child)} ;;`)
  return `${name}() {
  local curcontext="$curcontext" state line
  local -a commands
  _arguments -C \\
${options.join('\n')}
    '1: :->command' '*:: :->arguments'
  case $state in
    command)
      commands=(
${commands.join('\n')}
      )
      _describe command commands
      ;;
    arguments)
      case $line[1] in
${branches.join('\n')}
      esac
      ;;
  esac
}
`
}

function zshName({ path }: Node): string {
  return `_${path.replaceAll(/[^A-Za-z0-9]/g, '_')}`
}

/** May be given again, as the repeatable ones are. */
function zshOption({ names, description, value, choices }: OptionNode): string {
  const text = `[${description.replaceAll(/[[\]\\]/g, String.raw`\$&`)}]`
  return names.map((name) => quoted(`*${name}${text}${value === null ? '' : zshValue(value, choices)}`)).join(' ')
}

function zshArgument({ argument, choices }: Node): string {
  return argument === null ? "'*: :'" : quoted(`*${zshValue(argument, choices)}`)
}

const FILE_LIKE = /file/
const FOLDER_LIKE = /dir/

function zshValue(name: string, choices: readonly string[]): string {
  const action =
    choices.length > 0
      ? `(${choices.join(' ')})`
      : FILE_LIKE.test(name)
        ? '_files'
        : FOLDER_LIKE.test(name)
          ? '_files -/'
          : ''
  return `:${escapedColons(name)}:${action}`
}

function escapedColons(text: string): string {
  return text.replaceAll(':', String.raw`\:`)
}

/** As one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
