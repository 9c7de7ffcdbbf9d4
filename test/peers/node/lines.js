/** Standard input as batches of lines, standard output as lines: what the three JavaScript clients have in common. */

/** The lines of standard input, `size` at a time. */
export async function* batchesOfLines(size) {
  let lines = []
  let rest = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()
    lines.push(...parts)
    for (; lines.length >= size; lines = lines.slice(size)) yield lines.slice(0, size)
  }
  if (rest !== '') lines.push(rest)
  if (lines.length > 0) yield lines
}

/** Waits while the output is full. */
export async function print(text) {
  if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve))
}

/** `produce BOOTSTRAP TOPIC CODEC` or `consume BOOTSTRAP TOPIC COUNT`. */
export async function main({ produce, consume }) {
  const [command, bootstrap, topic, last] = process.argv.slice(2)
  if (command === 'produce') await produce(bootstrap.split(','), topic, last)
  else await consume(bootstrap.split(','), topic, Number(last))
}
